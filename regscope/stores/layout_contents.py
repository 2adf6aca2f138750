"""The content that manifests of a layout need: their children, configs and layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regscope.spec.digest import Digest
from regscope.stores.layout_store import LayoutStore
from regscope.stores.presence import has_blob


def below(store: LayoutStore, manifests: Iterable[Digest]) -> set[Digest]:
    """The digests of manifests and of all content below them; missing children of an index are left out."""
    seen: set[Digest] = set()
    waiting = list(manifests)
    while waiting:
        found = waiting.pop()
        if found not in seen:
            seen.add(found)
            waiting.extend(_children(store, found, seen))
    return seen


def _children(store: LayoutStore, digest: Digest, seen: set[Digest]) -> Iterator[Digest]:
    """The manifests that an index names; the blobs of the manifest are added to `seen`."""
    manifest = store.manifest("", digest).parse()
    seen.update(blob.digest for blob in manifest.blobs)
    yield from (child.digest for child in manifest.children if has_blob(store, "", child.digest))
