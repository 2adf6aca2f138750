"""Sparse files in tars: the old GNU format, and the pax formats 0.0, 0.1 and 1.0 (GNU tar manual, Sparse Formats)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from regscope.layers.budget import Budget
from regscope.layers.tar_header import BLOCK, damaged, integer, is_gnu, number
from regscope.layers.tar_source import TarSource
from regscope.pieces import PIECE

Part = tuple[int, int]
"""Where data stands in the file: an offset and a length."""
Take = Callable[[bytes | memoryview], object]

_ZEROS = memoryview(bytes(PIECE))
_MOST_MAP = 2**20  # bytes of a map: Go's limit
_OF_HEADER, _OF_BLOCK = (386, 4, 482), (0, 21, 504)  # where the parts begin, how many there are, whether more follow


def of_header(block: bytes, source: TarSource, budget: Budget) -> tuple[list[Part], int]:
    """The parts listed in an old GNU header and the blocks after it, and the file's size with its holes (bytes)."""
    if not is_gnu(block):
        raise damaged("a sparse entry whose header is not in GNU format")
    real = number(block[483:495])
    parts, goes_on = _parts_in(block, *_OF_HEADER)
    blocks = 1
    while goes_on:
        blocks += 1
        budget.take("headers", 1)
        budget.take("lines", _OF_BLOCK[1])
        if blocks * BLOCK > _MOST_MAP:
            raise damaged(f"a sparse file whose map is longer than {_MOST_MAP:,} bytes")
        more, goes_on = _parts_in(_whole(source), *_OF_BLOCK)
        parts += more
    return parts, real


def _parts_in(block: bytes, start: int, most: int, flag: int) -> tuple[list[Part], bool]:
    parts = []
    for at in range(start, start + 24 * most, 24):
        if not block[at]:
            break
        parts.append((number(block[at : at + 12]), number(block[at + 12 : at + 24])))
    return parts, block[flag] != 0


def version(pax: Mapping[str, bytes]) -> str | None:
    """The sparse format that an extended header states: "0" (0.0 and 0.1) or "1.0"; None for any other."""
    named = pax.get("GNU.sparse.major", b""), pax.get("GNU.sparse.minor", b"")
    if named == (b"1", b"0"):
        return "1.0"
    if named in ((b"0", b"0"), (b"0", b"1")) or (named == (b"", b"") and pax.get("GNU.sparse.map")):
        return "0"
    return None


def size_with_holes(pax: Mapping[str, bytes], size: int) -> int:
    """The file's size with its holes (bytes) as the records state it; `size` if they do not."""
    told = pax.get("GNU.sparse.size") or pax.get("GNU.sparse.realsize")
    return integer(told) if told else size


def of_records(pax: Mapping[str, bytes]) -> list[Part]:
    """The parts listed in an extended header, in the formats 0.0 and 0.1."""
    count = integer(pax.get("GNU.sparse.numblocks", b""))
    written = pax.get("GNU.sparse.map", b"")
    numbers = [integer(part) for part in written.split(b",")] if written else []
    if count * 2 != len(numbers):
        raise damaged(f"a sparse file whose map states {count:,} parts and lists {len(numbers) / 2:,g}")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def before_data(source: TarSource, stored: int, budget: Budget) -> tuple[list[Part], int]:
    """The parts listed before the data, in the format 1.0, and how many of the `stored` bytes that list takes."""
    written, lines, count = bytearray(), 0, -1
    while count < 0 or lines < 2 * count + 1:
        if len(written) + BLOCK > min(stored, _MOST_MAP):
            raise damaged(f"a sparse file whose map does not end within its data or {_MOST_MAP:,} bytes")
        block = _whole(source)
        written += block
        lines += block.count(b"\n")
        if count < 0 and lines:
            count = integer(bytes(written[: written.index(b"\n")]))
            if count < 0:
                raise damaged(f"a sparse file whose map states a negative number of parts: {count:,}")
    budget.take("lines", 2 * count)
    numbers = [integer(line) for line in bytes(written).split(b"\n", 2 * count + 1)[1 : 2 * count + 1]]
    return list(zip(numbers[::2], numbers[1::2], strict=True)), len(written)


def _whole(source: TarSource) -> bytes:
    if not (block := source.block()):
        raise damaged("it ends within the map of a sparse file")
    return block


def check(parts: Sequence[Part], size: int) -> None:
    """Raise InvalidInput if the parts overlap, or end beyond a file of `size` bytes."""
    if size < 0:
        raise damaged(f"an entry with a negative size: {size:,} bytes")
    end = 0
    for offset, length in parts:
        if offset < end or length < 0 or offset + length > size:
            raise damaged("a sparse file whose parts overlap or exceed its size")
        end = offset + length


def holes_of(parts: Sequence[Part], size: int) -> int:
    """Bytes of the holes in a file of `size` bytes."""
    return size - sum(length for _, length in parts)


class Spread:
    """The content of a sparse file with its holes filled in: data at its offsets, zeros between.

    Args:
        parts: offset and length of each piece of data (bytes).
        size: bytes of the file with its holes.
        take: called with the content, piece by piece.
    """

    def __init__(self, parts: Sequence[Part], size: int, take: Take) -> None:
        self._parts = iter(parts)
        self._size = size
        self._take = take
        self._at = 0
        self._left = 0
        self._next()

    def _next(self) -> None:
        for offset, length in self._parts:
            if length:
                self._zeros(offset - self._at)
                self._left = length
                return

    def _zeros(self, amount: int) -> None:
        self._at += amount
        while amount > 0:
            self._take(_ZEROS[:amount])
            amount -= len(_ZEROS)

    def update(self, piece: memoryview) -> None:
        """Pass on the next piece of data from the tar.

        Raises:
            InvalidInput: there is more data than the parts state.
        """
        while piece:
            if not self._left:
                raise damaged("a sparse file with more data than its map states")
            taken = piece[: self._left]
            self._take(taken)
            self._at += len(taken)
            self._left -= len(taken)
            piece = piece[len(taken) :]
            if not self._left:
                self._next()

    def end(self) -> None:
        """Pass on the hole after the last part.

        Raises:
            InvalidInput: there is less data than the parts state.
        """
        if self._left:
            raise damaged("a sparse file with less data than its map states")
        self._zeros(self._size - self._at)
