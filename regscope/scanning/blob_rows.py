"""The rows of the tables `blobs` and `orphans`, from the descriptors in manifests and the store's list of blobs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

_Row = tuple[Any, ...]


class FoundBlobs:
    """The distinct blobs that manifests name.

    Args:
        stored: the blobs that the store has, and their sizes in bytes; None if the store does not list them.
    """

    def __init__(self, stored: Mapping[str, int] | None) -> None:
        self._stored = stored
        self._rows: dict[str, _Row] = {}

    def take(self, rows: Iterable[_Row]) -> None:
        """Add the `blobs` rows of one manifest."""
        for row in rows:
            self._rows[row[0]] = _surer(self._rows.get(row[0], row), row)

    def take_children(self, digests: Iterable[str]) -> None:
        """Add the children of indexes: after its deletion, a child is kept as a blob as long as its index exists."""
        if self._stored is not None:
            for digest in digests:
                if digest in self._stored:
                    self._rows.setdefault(digest, (digest, "manifest", None, None, False))

    def rows(self) -> list[_Row]:
        """The rows of `blobs`, with the sizes in the store, if it lists its blobs."""
        return [_as_stored(self._rows[digest], self._stored) for digest in sorted(self._rows)]

    def orphans(self) -> list[tuple[str, int]]:
        """The rows of `orphans`: the stored blobs that no manifest names."""
        return [] if self._stored is None else _beside(self._stored, self._rows)


def _surer(known: _Row, row: _Row) -> _Row:
    """Of two rows of one blob, the one with a size and not foreign; if both are alike, the first."""
    _, _, size, _, foreign = known
    _, _, other_size, _, other_foreign = row
    return row if (size is None, foreign) > (other_size is None, other_foreign) else known


def _as_stored(row: _Row, stored: Mapping[str, int] | None) -> _Row:
    digest, kind, size, media_type, foreign = row
    return digest, kind, size if stored is None or foreign else stored.get(digest), media_type, foreign


def _beside(stored: Mapping[str, int], blobs: Container[str]) -> list[tuple[str, int]]:
    return [(digest, size) for digest, size in sorted(stored.items()) if digest not in blobs]
