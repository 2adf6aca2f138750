"""The cache of table rows by manifest digest: a digest names fixed content, so the rows made from it are fixed, too."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json

from regscope.scanning.manifest_rows import ManifestRows
from regscope.schema import TABLES, TIME
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.stores.cached_store import cache_of, or_without_it
from regscope.stores.content_store import ContentStore
from regscope.version import __version__

_RULES = 4  # increased whenever the rows made from a manifest change
# Another version may make other rows; other columns always change them.
_MADE_BY = hashlib.sha256(f"{__version__} {_RULES} {TABLES}".encode()).hexdigest()[:16]
_TIMES = {
    table: [position for position, column in enumerate(columns) if column.dtype == TIME]
    for table, columns in TABLES.items()
}


def known_rows(store: ContentStore, digest: str) -> ManifestRows | None:
    """The rows of the manifest `digest` from the cache of `store`; None if they are not cached."""
    if (cache := cache_of(store)) is None:
        return None
    kept: bytes | None = None
    with or_without_it():
        kept = cache.recall(_name(digest))
    try:
        return None if kept is None else _rows(digest, from_json(kept))
    except (ValueError, LookupError, TypeError, AttributeError):  # the cached file was not written by this version
        return None


def _rows(digest: str, document: Any) -> ManifestRows:
    rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for table, found in document["rows"].items():
        rows[table] = [_with_times(row, _TIMES[table]) for row in found]
    children = [Descriptor.model_validate(child) for child in document["children"]]
    return ManifestRows(Digest(digest), rows, children)


def keep_rows(store: ContentStore, found: ManifestRows) -> None:
    """Write the rows of a manifest to the cache of `store`, if it has one."""
    if (cache := cache_of(store)) is None:
        return
    children = [child.model_dump(mode="json", by_alias=True, exclude_none=True) for child in found.children]
    try:
        made = to_json({"rows": found.rows, "children": children})
    except ValueError:  # text that is not valid Unicode
        return
    with or_without_it():
        cache.keep(_name(found.digest), made)


def _name(digest: str) -> str:
    return f"rows {_MADE_BY} {digest}"


def _with_times(row: list[Any], positions: list[int]) -> tuple[Any, ...]:
    for position in positions:
        if (written := row[position]) is not None:
            row[position] = datetime.fromisoformat(written)
    return tuple(row)
