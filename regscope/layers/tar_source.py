"""A stream of bytes, read as tars are: in blocks, and in contents that fill up their last block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from regscope.errors import TooLarge
from regscope.layers.tar_header import BLOCK, damaged

_AT_LEAST = 2**19  # bytes of a piece: each costs a few microseconds


def in_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of whole blocks, none of them small but the last."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size < _AT_LEAST:
            continue
        whole = held[0] if len(held) == 1 else b"".join(held)
        if extra := size % BLOCK:
            held, size = [whole[-extra:]], extra
            whole = whole[:-extra]
        else:
            held, size = [], 0
        yield whole
    if size:
        yield b"".join(held)


def bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """`pieces` as they come, up to `most` bytes.

    Raises:
        TooLarge: there are more.
    """
    left = most
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise TooLarge(
                f"the layer unpacks to more than {most:,} bytes", next_step="Raise `most_bytes`, if you trust it."
            )
        yield piece


class TarSource:
    """Reads the pieces of `in_blocks`.

    Attributes:
        size: bytes that were read.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._view = memoryview(b"")
        self._at = 0
        self.size = 0

    def _next(self) -> bool:
        for piece in self._pieces:
            self._piece, self._view, self._at = piece, memoryview(piece), 0
            self.size += len(piece)
            return True
        return False

    def block(self) -> bytes:
        """The next block; nothing at the end.

        Raises:
            InvalidInput: less than a block is left.
        """
        at = self._at
        if at >= len(self._piece):
            if not self._next():
                return b""
            at = 0
        self._at = at + BLOCK
        block = self._piece[at : at + BLOCK]
        if len(block) == BLOCK:
            return block
        if block.strip(b"\0"):
            raise damaged("it ends within a header")
        return b""

    def at_hand(self, size: int) -> memoryview | None:
        """The next content, where all of it is in memory already; then it is read."""
        at = self._at
        end = at + size
        if end > len(self._piece):
            return None
        self._at = end + (-size & 511)
        return self._view[at:end]

    def pass_on(self, size: int, take: Callable[[memoryview], object]) -> None:
        """Give the next content to `take`, piece by piece.

        Raises:
            InvalidInput: there is less.
        """
        left = size
        while left:
            if self._at >= len(self._piece) and not self._next():
                raise damaged("it ends within a file")
            part = self._view[self._at : self._at + left]
            take(part)
            self._at += len(part)
            left -= len(part)
        self._at += -size & 511

    def content(self, size: int) -> bytes:
        """The next content as a whole."""
        parts: list[bytes] = []
        self.pass_on(size, lambda part: parts.append(bytes(part)))
        return b"".join(parts)

    def drain(self) -> None:
        """Read on to the end: what follows a tar's end is part of the layer's digest, and of nothing else."""
        while self._next():
            pass
