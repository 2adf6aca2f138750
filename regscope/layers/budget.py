"""Bounds on the work that one layer can cause, so that a hostile layer cannot exhaust memory or time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from regscope.errors import TooLarge

Kind = Literal["unpacked", "headers", "lines", "kept", "holes"]


class Bound(NamedTuple):
    """The bound on one kind of work: `free`, plus an amount for each stored byte of the layer, up to `most`."""

    name: str
    free: int
    for_each_byte: float = 0
    most: float = float("inf")

    def of(self, stored: int) -> int:
        """The bound for a layer of `stored` (compressed) bytes."""
        return int(min(self.free + self.for_each_byte * stored, self.most))


BOUNDS: dict[Kind, Bound] = {
    "unpacked": Bound("bytes of tar", 2 * 2**30, 200),
    # Entries, headers about them, blocks of sparse maps; members and frames that hold less than a block.
    "headers": Bound("entries and headers", 250_000, 0.25, 2_000_000),
    # Of extended headers, sparse maps and searched files (secrets, packages); 8 bytes of a searched file count as one.
    "lines": Bound("lines that would be looked into", 500_000, 2),
    # Bytes of extended headers, counted once for each entry that they apply to.
    "kept": Bound("bytes of names and attributes beyond headers", 32 * 2**20, 16),
    # Of sparse files. A file beyond the bound is not hashed; its layer is still read.
    "holes": Bound("bytes of holes", 2**30),
}


class Budget:
    """What reading one layer has used so far.

    Args:
        stored: bytes of the layer as it is stored (compressed); the default gives the bounds of a very large one.

    Attributes:
        used: amount by kind.
        most: bound by kind.
    """

    def __init__(self, stored: int = 2**40) -> None:
        self.used: dict[Kind, int] = dict.fromkeys(BOUNDS, 0)
        self.most: dict[Kind, int] = {kind: bound.of(stored) for kind, bound in BOUNDS.items()}

    def __repr__(self) -> str:
        return ", ".join(f"{kind} {used:,} of {self.most[kind]:,}" for kind, used in self.used.items())

    def take(self, kind: Kind, amount: int) -> None:
        """Count work that is about to be done.

        Raises:
            TooLarge: it exceeds the bound.
        """
        self.used[kind] += amount
        if self.used[kind] > self.most[kind]:
            raise TooLarge(
                f"the layer has more than {self.most[kind]:,} {BOUNDS[kind].name}",
                next_step="Treat it as hostile: ordinary layers stay far below. Leave it alone, or rebuild the image.",
            )

    def affords(self, kind: Kind, amount: int) -> bool:
        """Count the work if the budget allows it; returns whether it does."""
        if self.used[kind] + amount > self.most[kind]:
            return False
        self.used[kind] += amount
        return True

    def look_into(self, content: bytes) -> None:
        """Count a file's content that is about to be searched; eight bytes count as one line.

        Raises:
            TooLarge: it exceeds the bound.
        """
        self.take("lines", len(content) >> 3)

    def unpacking(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass on `pieces` of the tar, counting their bytes.

        Raises:
            TooLarge: there are more bytes than the layer may unpack to.
        """
        for piece in pieces:
            self.take("unpacked", len(piece))
            yield piece
