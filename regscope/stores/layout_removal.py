"""Taking images away from an OCI image layout (OCI image-spec, image-layout.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import DockerManifestList, ManifestSchema1, OCIIndex
from regscope.stores.content_store import no_such_tag
from regscope.stores.layout_index import LayoutIndex
from regscope.stores.oci_layout import CONTAINERD_NAME, REF_NAME, OCILayoutStore

_NAMES = (CONTAINERD_NAME, REF_NAME)


class LayoutRemoval:
    """Takes away from a layout, which is its own garbage collector: what nothing names any more goes along.

    Nobody should copy to the layout meanwhile.
    """

    frees_at_once = True

    def __init__(self, store: OCILayoutStore) -> None:
        self._store = store
        self._index = LayoutIndex(store.folder)

    def untag(self, repository: str, tag: str, standing_in: Callable[[Digest], None] | None = None) -> None:
        """The entry of `index.json` loses its name, and goes where another one names the same manifest."""
        found = self._store.resolve(repository, tag)
        with self._index.alone():
            entries = self._index.entries()
            named = [entry for entry in entries if self._store.names(entry) == (repository, tag)]
            if not named:
                raise no_such_tag(self._store, repository, tag)
            kept = [entry for entry in entries if entry not in named]
            if not any(entry.digest == found for entry in kept):
                kept.append(_unnamed(named[0]))
            self._index.write(kept)
        self._index.tidy()

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """It, its entries of `index.json`, and what only it names."""
        self._store.blob_size(repository, digest)
        below = self._below(digest)
        with self._index.alone():
            kept = [entry for entry in self._index.entries() if entry.digest != digest]
            self._index.write(kept)
            needed = {found for entry in kept for found in self._below(entry.digest)}
            for gone in below - needed:
                self._store.path(gone).unlink(missing_ok=True)
        self._index.tidy()

    def forget_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> None:
        """As `delete_manifest`: there are no lists of referrers."""
        self.delete_manifest(repository, digest)

    def check_deletes(self, repository: str) -> None:
        """There is."""

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """Its file."""
        self._store.blob_size(repository, digest)
        self._store.path(digest).unlink()

    def _below(self, digest: Digest) -> set[Digest]:
        """A manifest and all that it names, through indexes."""
        seen: set[Digest] = set()
        waiting = [digest]
        while waiting:
            found = waiting.pop()
            if found not in seen:
                seen.add(found)
                waiting.extend(self._children(found, seen))
        return seen

    def _children(self, digest: Digest, seen: set[Digest]) -> Iterator[Digest]:
        """The manifests that an index names; the blobs that a manifest names are noted in `seen`."""
        manifest = self._store.manifest("", digest).parse()
        if isinstance(manifest, OCIIndex | DockerManifestList):
            seen.update(blob.digest for blob in manifest.blobs)
            yield from (child.digest for child in manifest.children if self._store.path(child.digest).is_file())
        elif isinstance(manifest, ManifestSchema1):
            seen.update(layer.blobSum for layer in manifest.fsLayers)
        else:
            seen.update((manifest.config.digest, *(layer.digest for layer in manifest.layers)))


def _unnamed(entry: Descriptor) -> Descriptor:
    left = {key: value for key, value in entry.annotations.items() if key not in _NAMES}
    return entry.model_copy(update={"annotations": left})
