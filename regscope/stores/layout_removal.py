"""Deleting images from an OCI image layout (OCI image-spec, image-layout.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container

from regscope.spec.annotations import CONTAINERD_NAME, REF_NAME
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIIndex
from regscope.spec.referring import fallback_tag
from regscope.stores.content_store import no_such_tag
from regscope.stores.layout_contents import below
from regscope.stores.layout_index import LayoutIndex
from regscope.stores.layout_store import blob_path, image_name
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.stored_names import ImageName

_NAMES = (CONTAINERD_NAME, REF_NAME)


class LayoutRemoval:
    """Deletes tags and manifests from a layout, and at once the content that nothing else names.

    No process should copy to the layout meanwhile.
    """

    frees_at_once = True

    def __init__(self, store: OCILayoutStore) -> None:
        self._store = store
        self._index = LayoutIndex(store.folder)

    def untag(self, repository: str, tag: str, standing_in: Callable[[Digest], None] | None = None) -> None:
        """Removes the name from the entry of `index.json`, or the entry if another one names the same manifest.

        The same is done for each other entry with that name, which would otherwise take its place.
        """
        with self._index.alone():
            entries = self._index.entries()
            if not any(self._is_named(entry, {(repository, tag)}) for entry in entries):
                raise no_such_tag(self._store, repository, tag)
            self._index.write(self._without_names(entries, {(repository, tag)}))
        self._index.tidy()

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Deletes the manifest, its entries of `index.json`, and content that nothing else names.

        It is also removed from the index under its subject's fallback tag, where regctl lists referrers.
        """
        self._take_from_list(repository, digest)
        self.forget_manifest(repository, digest, ())

    def forget_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> None:
        """As `delete_manifest`, without a change of the index under the fallback tag."""
        self._store.blob_size(repository, digest)
        might_go = below(self._store, [digest])
        with self._index.alone():
            entries = self._index.entries()
            going = [
                entry for entry in entries if entry.digest == digest and not self._stays(entry, repository, entries)
            ]
            names = {name for entry in going if (name := self._tag_of(entry))}
            kept = self._without_names([entry for entry in entries if entry not in going], names)
            self._index.write(kept)
            needed = below(self._store, [entry.digest for entry in kept])
            for gone in might_go - needed:
                self._store.path(gone).unlink(missing_ok=True)
        self._index.tidy()

    def check_deletes(self, repository: str) -> None:
        """Do nothing: a layout can always delete."""

    def how_tags_go(self, repository: str) -> str:
        """Empty: a tag is removed from its entry of `index.json`."""
        return ""

    def can_restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """False: nobody keeps what was deleted."""
        return False

    def restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """False, as `can_restore`."""
        return False

    def check_untags(self, repository: str) -> None:
        """Do nothing: a layout can always untag."""

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """Deletes the blob's file."""
        self._store.blob_size(repository, digest)
        self._store.path(digest).unlink()

    def _take_from_list(self, repository: str, digest: Digest) -> None:
        """Remove a manifest from the index under its subject's fallback tag."""
        subject = self._subject_of(digest)
        with self._index.alone():
            entries = self._index.entries()
            if subject is None or self._is_named_elsewhere(subject, repository, entries):
                return
            tag = fallback_tag(subject)
            changed = [
                self._without(entry, digest) if (name := self._tag_of(entry)) and name[1] == tag else entry
                for entry in entries
            ]
            self._index.write(changed)
            for old in {entry.digest for entry in entries} - {entry.digest for entry in changed}:
                self._store.path(old).unlink(missing_ok=True)

    def _without(self, entry: Descriptor, digest: Digest) -> Descriptor:
        """The entry for a copy of its index without the child `digest`; the same entry if there is no such child."""
        listed = self._store.manifest("", entry.digest).parse()
        if not isinstance(listed, OCIIndex) or all(child.digest != digest for child in listed.manifests):
            return entry
        made = OCIIndex(manifests=[child for child in listed.manifests if child.digest != digest])
        self._index.replace(blob_path(made.digest), made.raw)
        return entry.model_copy(update={"digest": made.digest, "size": len(made.raw)})

    def _subject_of(self, digest: Digest) -> Digest | None:
        subject = self._store.manifest("", digest).parse().subject
        return subject.digest if subject is not None else None

    def _is_named_elsewhere(self, digest: Digest, repository: str, entries: list[Descriptor]) -> bool:
        """Whether another repository has a name for a manifest."""
        names = [image_name(entry, self._store.own_name) for entry in entries if entry.digest == digest]
        return any(name is not None and name.repository != repository for name in names)

    def _stays(self, entry: Descriptor, repository: str, entries: list[Descriptor]) -> bool:
        """Whether an entry belongs to another repository: by its name, or without a name by its subject's."""
        name = image_name(entry, self._store.own_name)
        if name is not None:
            return name.repository != repository
        subject = self._subject_of(entry.digest)
        return subject is not None and self._is_named_elsewhere(subject, repository, entries)

    def _tag_of(self, entry: Descriptor) -> tuple[str, str] | None:
        """The repository and the tag of an entry; None where it has no tag."""
        name = image_name(entry, self._store.own_name)
        return (name.repository, name.tag) if name is not None and name.tag is not None else None

    def _is_named(self, entry: Descriptor, names: Container[tuple[str, str]]) -> bool:
        return (name := self._tag_of(entry)) is not None and name in names

    def _without_names(self, entries: list[Descriptor], names: Container[tuple[str, str]]) -> list[Descriptor]:
        """All entries without the names `names`; each manifest is still listed."""
        kept = [entry for entry in entries if not self._is_named(entry, names)]
        listed = {entry.digest for entry in kept}
        for entry in entries:
            if entry.digest not in listed:
                listed.add(entry.digest)
                kept.append(self._untagged(entry))
        return kept

    def _untagged(self, entry: Descriptor) -> Descriptor:
        """An entry without its tag, still in its repository."""
        left = {key: value for key, value in entry.annotations.items() if key not in _NAMES}
        name = image_name(entry, self._store.own_name)
        if name is not None and name.repository != self._store.own_name:
            left[REF_NAME] = str(ImageName(name.repository, None, entry.digest))
        return entry.model_copy(update={"annotations": left})
