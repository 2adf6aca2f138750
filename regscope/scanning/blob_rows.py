"""The rows of `blobs` and `orphans`: what manifests say of blobs, and what the store has."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

_Row = tuple[Any, ...]


class FoundBlobs:
    """The blobs that manifests name, each once.

    Args:
        stored: the blobs that the store has, and their sizes in bytes, where it lists them.
    """

    def __init__(self, stored: Mapping[str, int] | None) -> None:
        self._stored = stored
        self._rows: dict[str, _Row] = {}

    def take(self, rows: Iterable[_Row]) -> None:
        """Note the rows that one manifest makes."""
        for row in rows:
            self._rows[row[0]] = _surer(self._rows.get(row[0], row), row)

    def take_children(self, digests: Iterable[str]) -> None:
        """Note the children of indexes: one that was deleted by itself stays as a blob as long as its index."""
        if self._stored is not None:
            for digest in digests:
                if digest in self._stored:
                    self._rows.setdefault(digest, (digest, "manifest", None, None, False))

    def rows(self) -> list[_Row]:
        """Those of `blobs`, with the sizes that they have in the store, where it lists them."""
        return [_as_stored(self._rows[digest], self._stored) for digest in sorted(self._rows)]

    def orphans(self) -> list[tuple[str, int]]:
        """What is stored, and was named by nothing."""
        return [] if self._stored is None else _beside(self._stored, self._rows)


def _surer(known: _Row, row: _Row) -> _Row:
    """Of two descriptions of one blob the one that knows its size, and that it is stored here; else the first."""
    _, _, size, _, foreign = known
    _, _, other_size, _, other_foreign = row
    return row if (size is None, foreign) > (other_size is None, other_foreign) else known


def _as_stored(row: _Row, stored: Mapping[str, int] | None) -> _Row:
    digest, kind, size, media_type, foreign = row
    return digest, kind, size if stored is None or foreign else stored.get(digest), media_type, foreign


def _beside(stored: Mapping[str, int], blobs: Container[str]) -> list[tuple[str, int]]:
    return [(digest, size) for digest, size in sorted(stored.items()) if digest not in blobs]
