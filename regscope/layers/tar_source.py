"""A stream of bytes, read as tars are: in blocks, and in contents that fill up their last block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from regscope.layers.tar_header import BLOCK, damaged

_AT_LEAST = 2**17  # bytes of a piece: to hand one over costs some ten microseconds


def not_small(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces none of which is small but the last."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _AT_LEAST:
            yield held[0] if len(held) == 1 else b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


class TarSource:
    """Reads pieces of any length.

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
        end = at + BLOCK
        if end <= len(self._piece):
            self._at = end
            return self._piece[at:end]
        block = self._up_to(BLOCK)
        if len(block) == BLOCK:
            return block
        if block.strip(b"\0"):
            raise damaged("it ends within a header")
        return b""

    def at_hand(self, size: int) -> memoryview | None:
        """The next content, where all of it is in memory already; then it is read."""
        at = self._at
        after = at + size + (-size & 511)
        if after > len(self._piece):
            return None
        self._at = after
        return self._view[at : at + size]

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
        self._up_to(-size & 511)

    def content(self, size: int) -> bytes:
        """The next content as a whole."""
        if (whole := self.at_hand(size)) is not None:
            return bytes(whole)
        parts: list[bytes] = []
        self.pass_on(size, lambda part: parts.append(bytes(part)))
        return b"".join(parts)

    def _up_to(self, amount: int) -> bytes:
        """The next bytes; fewer at the end."""
        found = b""
        while len(found) < amount and (self._at < len(self._piece) or self._next()):
            part = self._piece[self._at : self._at + amount - len(found)]
            self._at += len(part)
            found += part
        return found

    def drain(self) -> None:
        """Read on to the end: what follows a tar's end is part of the layer's digest, and of nothing else."""
        while self._next():
            pass
