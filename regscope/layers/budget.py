"""What one layer may ask for: each kind of work that its bytes can cause is counted, and has a bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from regscope.errors import TooLarge

Kind = Literal["unpacked", "headers", "lines", "kept", "holes"]


class Bound(NamedTuple):
    """How much a layer may ask for of one kind: `free`, and more the larger it is stored, up to `most`."""

    name: str
    free: int
    for_each_byte: float = 0
    most: float = float("inf")

    def of(self, stored: int) -> int:
        """The bound of a layer that is stored in so many bytes."""
        return int(min(self.free + self.for_each_byte * stored, self.most))


BOUNDS: dict[Kind, Bound] = {
    "unpacked": Bound("bytes of tar", 2 * 2**30, 200),
    # Entries, headers about them, blocks of sparse maps; members and frames that hold less than a block.
    "headers": Bound("entries and headers", 250_000, 0.25, 2_000_000),
    # Of extended headers, sparse maps, and whatever is looked into; 8 bytes of what is looked into count as a line.
    "lines": Bound("lines that would be looked into", 500_000, 2),
    # As they apply: once for each entry.
    "kept": Bound("bytes of names and attributes beyond headers", 32 * 2**20, 16),
    # Of sparse files. A file with more of them has no sha256: that is no reason to leave its layer unread.
    "holes": Bound("bytes of holes", 2**30),
}


class Budget:
    """What reading one layer has asked for so far.

    Args:
        stored: bytes of the layer as it is stored; where that is not known, the bounds are those of a large one.

    Attributes:
        used: by kind.
        most: by kind, what there is at most.
    """

    def __init__(self, stored: int = 2**40) -> None:
        self.used: dict[Kind, int] = dict.fromkeys(BOUNDS, 0)
        self.most: dict[Kind, int] = {kind: bound.of(stored) for kind, bound in BOUNDS.items()}

    def __repr__(self) -> str:
        return ", ".join(f"{kind} {used:,} of {self.most[kind]:,}" for kind, used in self.used.items())

    def take(self, kind: Kind, amount: int) -> None:
        """Count what is about to be done.

        Raises:
            TooLarge: it is more than the layer may ask for.
        """
        self.used[kind] += amount
        if self.used[kind] > self.most[kind]:
            raise TooLarge(
                f"the layer has more than {self.most[kind]:,} {BOUNDS[kind].name}",
                next_step="Leave it alone unless you trust who made it: honest layers stay far below.",
            )

    def affords(self, kind: Kind, amount: int) -> bool:
        """Whether so much is left; then it is counted."""
        if self.used[kind] + amount > self.most[kind]:
            return False
        self.used[kind] += amount
        return True

    def look_into(self, content: bytes) -> None:
        """Count a content that is about to be looked into: the shortest lines that take long have some eight bytes.

        Raises:
            TooLarge: it is more than the layer may ask for.
        """
        self.take("lines", len(content) >> 3)

    def unpacking(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """`pieces` of the tar as they come.

        Raises:
            TooLarge: there are more bytes than the layer may unpack to.
        """
        for piece in pieces:
            self.take("unpacked", len(piece))
            yield piece
