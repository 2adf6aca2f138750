"""Images in an OCI image layout: blobs and an `index.json` (OCI image-spec, image-layout.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from regscope.errors import ContentMissing, RegscopeError, StoreError
from regscope.registry.manifests import RawManifest
from regscope.registry.responses import METADATA_LIMIT
from regscope.spec.annotations import CONTAINERD_NAME, REF_NAME
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, verified
from regscope.spec.lenient_reading import first_fault
from regscope.spec.manifest import OCIIndex
from regscope.spec.media_types import MANIFESTS
from regscope.spec.referring import fallback_tag
from regscope.stores.content_store import no_such_repository, no_such_tag
from regscope.stores.kinds import Kind
from regscope.stores.layout_files import INDEX, LayoutFiles
from regscope.stores.stored_names import Fault, ImageName, StoredNames

INDEX_LIMIT = METADATA_LIMIT * 8
_Made = TypeVar("_Made")


class LayoutStore:
    """Images in a layout, in a folder or in a tar.

    An image's repository and tag are read from `io.containerd.image.name`, else from
    `org.opencontainers.image.ref.name`. A name that is only a tag belongs to a repository with the name of the folder
    or the archive; a manifest without a name is untagged there. `repository@digest` is untagged in that repository.
    """

    kind: Kind
    sees_untagged = True
    counts_pulls = False
    rate_limit = None
    capabilities = None

    def __init__(self, files: LayoutFiles) -> None:
        self._files = files
        self._read: _Read | None = None
        self._made: dict[str, Any] = {}

    @property
    def location(self) -> str:
        """`oci:` and the folder, or `oci-archive:` and the file."""
        return self._files.location

    @property
    def own_name(self) -> str:
        """The repository of entries without a name or with only a tag: the name of the folder or the archive."""
        return self._files.own_name

    @property
    def _index(self) -> OCIIndex:
        """The current index, as another process may be copying to the layout."""
        stamp = self._files.stamp
        if self._read is None or self._read.stamp != stamp:
            raw = self._files.read(INDEX, INDEX_LIMIT)
            self._read = _Read(stamp, parse_index(raw, f"{INDEX} of {self.location}"))
            self._made.clear()
        return self._read.document

    def _once(self, make: Callable[[OCIIndex], _Made]) -> _Made:
        """The result of `make` for the index, computed again only when the index changes."""
        index = self._index
        if make.__name__ not in self._made:
            self._made[make.__name__] = make(index)
        found: _Made = self._made[make.__name__]
        return found

    @property
    def _names(self) -> StoredNames:
        return self._once(self._by_name)

    def _by_name(self, index: OCIIndex) -> StoredNames:
        found = StoredNames(self.location, lambda position: index.manifests[position].digest)
        for position, entry in enumerate(index.manifests):
            if name := image_name(entry, self.own_name):
                found.add(name, position)
        return found

    def repositories(self) -> list[str]:
        """The repositories of the names in `index.json`."""
        own = self.own_name
        return sorted({*self._names.tagged, *([own] if self._unnamed else [])})

    def tags(self, repository: str) -> list[str]:
        """The tags of the names in `index.json`."""
        tagged = self._names.tagged
        if repository not in tagged and repository != self.own_name:
            raise no_such_repository(self, repository)
        return sorted(tagged.get(repository, {}))

    def untagged(self, repository: str) -> list[Digest]:
        """Manifests whose entry of `index.json` has no tag in its name, or comes after another with the same name.

        In the repository with the layout's own name also entries that have no name, and no subject in the layout.
        """
        entries = self._index.manifests
        found = {entries[position].digest for position in self._names.untagged(repository)}
        return sorted(found | self._unnamed if repository == self.own_name else found)

    @property
    def _unnamed(self) -> set[Digest]:
        """Entries that have no name, and no subject in the layout."""
        entries = self._index.manifests
        named = {entry.digest for entry in entries if name_of(entry) is not None}
        referring = {entry.digest for found in self._referring.values() for entry in found}
        return {entry.digest for entry in entries} - named - referring

    def faults(self, repository: str) -> list[Fault]:
        """Duplicate names, and names with the digest of another manifest."""
        return self._names.faults(repository)

    def resolve(self, repository: str, tag: str) -> Digest:
        """The digest of a name in `index.json`; a digest itself, if its file exists."""
        if ":" in tag:
            self._existing(Digest(tag))
            return Digest(tag)
        try:
            return self._index.manifests[self._names.tagged[repository][tag]].digest
        except KeyError:
            raise no_such_tag(self, repository, tag) from None

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """The manifest, if `resolve` returns another digest than `known`."""
        return None if self.resolve(repository, tag) == known else self.manifest(repository, tag)

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """The manifest of a tag or a digest."""
        digest = Digest(reference) if ":" in reference else self.resolve(repository, reference)
        raw = self.read_blob(repository, digest, METADATA_LIMIT)
        return RawManifest(raw, digest, self._once(_stated_types).get(digest))

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """The blob, streamed from its file and verified."""
        wanted = Digest(digest)
        return verified(self._files.chunks(self._existing(wanted)), wanted, f"a blob of {self.location}")

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """The rest of the blob, streamed from its file."""
        return self._files.chunks(self._existing(blob.digest), start)

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """The blob, read from its file and verified."""
        wanted = Digest(digest)
        return wanted.verify(self._files.read(self._existing(wanted), limit), f"a blob of {self.location}")

    def blob_size(self, repository: str, digest: str) -> int:
        """The size of the blob's file."""
        return self._files.size(self._existing(Digest(digest)))

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """None: a layout does not separate repositories."""
        return None

    def stored_blobs(self) -> Mapping[str, int] | None:
        """All files in `blobs`."""
        return self._files.blobs()

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """None: a layout does not record it."""
        return None

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """The referrers of a manifest: untagged entries of `index.json` that have it as their `subject`, as oras and
        regscope write them, and those in the index under its fallback tag, as regctl writes them.
        """
        found: dict[Digest, Descriptor] = {}
        for entry in (*self._referring.get(digest, []), *self._under_fallback_tag(Digest(digest))):
            found.setdefault(entry.digest, entry)
        return list(found.values())

    @property
    def _referring(self) -> dict[str, list[Descriptor]]:
        return self._once(self._by_subject)

    def _by_subject(self, index: OCIIndex) -> dict[str, list[Descriptor]]:
        found: dict[str, list[Descriptor]] = {}
        for entry in index.manifests:
            name = image_name(entry, self.own_name)
            if (name is None or name.tag is None) and (subject := self._subject(entry)):
                found.setdefault(subject, []).append(entry)
        return found

    def _subject(self, entry: Descriptor) -> Digest | None:
        """The subject of an entry, if the layout has it; a scan reports manifests that cannot be read."""
        try:
            manifest = self.manifest(self.own_name, entry.digest).parse()
        except RegscopeError:
            return None
        subject = manifest.subject
        return subject.digest if subject is not None and blob_path(subject.digest) in self._files else None

    def _under_fallback_tag(self, subject: Digest) -> list[Descriptor]:
        """The referrers under a fallback tag of any repository, as a layout does not separate repositories."""
        tag = fallback_tag(subject)
        found: list[Descriptor] = []
        for repository, tags in self._names.tagged.items():
            if tag in tags:
                try:
                    index = self.manifest(repository, tag).parse()
                except RegscopeError:  # the scan reports it when it reads the tag
                    continue
                found += index.children
        return found

    def _existing(self, digest: Digest) -> str:
        path = blob_path(digest)
        if path not in self._files:
            raise ContentMissing(
                f"{self.location} lacks the blob {digest}", next_step="The layout is incomplete: copy the image again."
            )
        return path

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_read": None, "_made": {}}  # another process reads the index again


class _Read(NamedTuple):
    """An `index.json` that was read, and its stamp."""

    stamp: Hashable
    document: OCIIndex


def parse_index(raw: bytes, what: str) -> OCIIndex:
    """A layout's `index.json`.

    Raises:
        StoreError: the content is no image index.
    """
    try:
        return OCIIndex.from_document(json.loads(raw), raw)
    except (ValidationError, ValueError, RecursionError) as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else str(error)
        raise StoreError(f"{what} is not an image index: {fault}", next_step="Copy the images again.") from None


def blob_path(digest: Digest) -> str:
    """The file of a blob in a layout."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def name_of(entry: Descriptor) -> str | None:
    """The name of an entry of `index.json`, unchanged."""
    return entry.annotations.get(CONTAINERD_NAME) or entry.annotations.get(REF_NAME) or None


def image_name(entry: Descriptor, own_name: str) -> ImageName | None:
    """The parsed name of an entry in a layout named `own_name`; None where it has none."""
    written = name_of(entry)
    if written is None:
        return None
    name = ImageName.parse(written)
    if name.stated is None and "/" not in written and ":" not in written:  # only a tag
        return ImageName(own_name, written, None)
    return name._replace(repository=name.repository or own_name)


def _stated_types(index: OCIIndex) -> dict[str, str]:
    return {entry.digest: entry.mediaType for entry in index.manifests if entry.mediaType in MANIFESTS}
