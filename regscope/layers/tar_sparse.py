"""Sparse files in tars: the old GNU format, and the pax formats 0.0, 0.1 and 1.0 (GNU tar manual, Sparse Formats)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from regscope.layers.tar_header import BLOCK, damaged, decimal, number

Map = list[tuple[int, int]]
"""Where data stands in the file: offsets and lengths, in order."""

_ZEROS = bytes(2**20)
_MOST_PARTS = 1_000_000


def of_header(block: bytes) -> Iterator[tuple[int, int]]:
    """The parts that an old GNU header names itself."""
    return _entries(block, 386, 4)


def of_extension(block: bytes) -> Iterator[tuple[int, int]]:
    """The parts that a block after such a header names."""
    return _entries(block, 0, 21)


def goes_on(block: bytes, is_header: bool) -> bool:
    """Whether another block of parts follows."""
    return block[482 if is_header else 504] != 0


def _entries(block: bytes, start: int, most: int) -> Iterator[tuple[int, int]]:
    for at in range(start, start + 24 * most, 24):
        if not block[at] and not block[at + 12]:
            return
        yield number(block[at : at + 12]), number(block[at + 12 : at + 24])


def of_records(records: Sequence[tuple[str, bytes]]) -> Map | None:
    """The parts that an extended header names, by the formats 0.0 and 0.1; None where it names none."""
    for key, value in records:
        if key == "GNU.sparse.map":
            numbers = [decimal(part) for part in value.split(b",")] if value else []
            return list(zip(numbers[::2], numbers[1::2], strict=False))
    offsets = [decimal(value) for key, value in records if key == "GNU.sparse.offset"]
    lengths = [decimal(value) for key, value in records if key == "GNU.sparse.numbytes"]
    return list(zip(offsets, lengths, strict=False)) if offsets else None


class SparseContent:
    """Hashes a sparse file as it would be on a disk: its holes are zeros.

    Args:
        parts: where its data stands; None where that stands before the data (format 1.0).
        size: bytes of the file with its holes.
        most: bytes that holes may add.

    Raises:
        InvalidInput: from its methods, where the parts do not fit.
    """

    def __init__(self, parts: Map | None, size: int, most: int) -> None:
        self._size = size
        self._most = most
        self._hasher = hashlib.sha256()
        self._at = 0
        self._head = b""
        self._parts: Iterator[tuple[int, int]] | None = None
        self._left = 0
        if parts is not None:
            self._begin(parts)

    def _begin(self, parts: Map) -> None:
        end = 0
        for offset, length in parts:
            if offset < end or length < 0 or offset + length > self._size:
                raise damaged("a sparse file whose parts overlap or end after it")
            end = offset + length
        if self._size - sum(length for _, length in parts) > self._most:
            raise damaged(f"a sparse file of {self._size:,} bytes that is mostly holes")
        self._parts = iter(parts)
        self._next()

    def _next(self) -> None:
        assert self._parts is not None
        for offset, length in self._parts:
            self._zeros(offset - self._at)
            if length:
                self._left = length
                return

    def _zeros(self, amount: int) -> None:
        self._at += amount
        while amount > 0:
            self._hasher.update(_ZEROS[: min(amount, len(_ZEROS))])
            amount -= len(_ZEROS)

    def update(self, piece: bytes | memoryview) -> None:
        """Data that follows, as it stands in the tar."""
        if self._parts is None:
            self._head += bytes(piece)
            if (found := _map_before_data(self._head)) is None:
                return
            parts, start = found
            piece, self._head = self._head[start:], b""
            self._begin(parts)
        while piece and self._left:
            taken = piece[: self._left]
            self._hasher.update(taken)
            self._at += len(taken)
            self._left -= len(taken)
            piece = piece[len(taken) :]
            if not self._left:
                self._next()

    def hexdigest(self) -> str:
        """The sha256 of the whole file."""
        return self.digest().hex()

    def digest(self) -> bytes:
        """The sha256 of the whole file."""
        if self._parts is None or self._left:
            raise damaged("a sparse file whose data ends too early")
        self._zeros(self._size - self._at)
        return self._hasher.digest()


def _map_before_data(head: bytes) -> tuple[Map, int] | None:
    """The parts, and where the data begins after them; None where more of `head` is needed."""
    lines = head.split(b"\n", 2 * _MOST_PARTS + 2)
    if len(lines) < 2:
        if len(head) > BLOCK:
            raise damaged("a sparse file without a map")
        return None
    count = decimal(lines[0])
    if not 0 <= count <= _MOST_PARTS:
        raise damaged(f"a sparse file of {count:,} parts")
    if len(lines) < 2 * count + 2:
        return None
    numbers = [decimal(line) for line in lines[1 : 2 * count + 1]]
    length = sum(len(line) + 1 for line in lines[: 2 * count + 1])
    start = -(-length // BLOCK) * BLOCK
    return (list(zip(numbers[::2], numbers[1::2], strict=True)), start) if len(head) >= start else None
