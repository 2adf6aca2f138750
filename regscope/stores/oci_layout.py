"""An OCI image layout: a folder of blobs and an `index.json` (OCI image-spec, image-layout.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from regscope import text
from regscope.errors import ContentMissing, NotAStore, RegscopeError, StoreError
from regscope.registry.manifests import RawManifest
from regscope.registry.responses import METADATA_LIMIT, too_large
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, verified
from regscope.spec.manifest import OCIIndex
from regscope.spec.media_types import MANIFESTS
from regscope.spec.mending import first_fault
from regscope.spec.reference import split_image
from regscope.stores.content_store import no_such_repository, no_such_tag

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
_CHUNK = 2**20
_Made = TypeVar("_Made")


class OCILayoutStore:
    """Images in a layout folder.

    An image's repository and tag are read from `io.containerd.image.name`, else from
    `org.opencontainers.image.ref.name`. A name that is only a tag belongs to a repository called as the folder is,
    and so does what has no name, untagged.

    Raises:
        NotAStore: the folder is no layout.
    """

    sees_untagged = True
    counts_pulls = False
    rate_limit = None
    capabilities = None

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._read: _Read | None = None
        self._made: dict[str, Any] = {}
        if not (self.folder / "oci-layout").is_file() or not (self.folder / "index.json").is_file():
            missing = "no such folder" if not self.folder.is_dir() else "it has no oci-layout and index.json files"
            raise NotAStore(
                f"{self.folder} is not an OCI image layout: {missing}",
                next_step="Write one with `skopeo copy … oci:DIR:NAME`, or try `regscope demo`.",
            )

    @property
    def location(self) -> str:
        """`oci:` and the folder."""
        return f"oci:{self.folder}"

    @property
    def _index(self) -> OCIIndex:
        """The index as it is now: somebody may be copying into the layout."""
        path = self.folder / "index.json"
        now = path.stat()
        stamp = (now.st_ino, now.st_mtime_ns, now.st_size)
        if self._read is None or self._read.stamp != stamp:
            self._read = _Read(stamp, read_index(path))
            self._made.clear()
        return self._read.document

    def _once(self, make: Callable[[OCIIndex], _Made]) -> _Made:
        """What `make` makes of the index, as long as that stays as it is."""
        index = self._index
        if make.__name__ not in self._made:
            self._made[make.__name__] = make(index)
        found: _Made = self._made[make.__name__]
        return found

    @property
    def _tagged(self) -> dict[str, dict[str, Descriptor]]:
        return self._once(self._by_name)

    def _by_name(self, index: OCIIndex) -> dict[str, dict[str, Descriptor]]:
        found: dict[str, dict[str, Descriptor]] = {}
        for entry in index.manifests:
            if name := self.names(entry):
                repository, tag = name
                found.setdefault(repository, {})[tag] = entry
        return found

    def names(self, entry: Descriptor) -> tuple[str, str] | None:
        """Repository and tag that an entry of `index.json` gives a manifest, if it does."""
        name = name_of(entry)
        if name is None:
            return None
        repository, tag, _ = split_image(name)
        if tag is None and "/" not in name:
            return self._own_name, name
        return repository, tag or "latest"

    def repositories(self) -> list[str]:
        """The names that `index.json` gives, without their tags."""
        unnamed = {self._own_name} if self.untagged(self._own_name) else set()
        return sorted(set(self._tagged) | unnamed)

    def tags(self, repository: str) -> list[str]:
        """The tags that `index.json` gives."""
        if repository not in self._tagged and repository != self._own_name:
            raise no_such_repository(self, repository)
        return sorted(self._tagged.get(repository, {}))

    def untagged(self, repository: str) -> list[Digest]:
        """Entries of `index.json` that have no name and refer to nothing in the layout."""
        if repository != self._own_name:
            return []
        named = {entry.digest for tags in self._tagged.values() for entry in tags.values()}
        referring = {entry.digest for entries in self._referring.values() for entry in entries}
        return sorted({entry.digest for entry in self._index.manifests} - named - referring)

    def resolve(self, repository: str, tag: str) -> Digest:
        """From `index.json`; a digest by its file."""
        if ":" in tag:
            self._existing(Digest(tag))
            return Digest(tag)
        try:
            return self._tagged[repository][tag].digest
        except KeyError:
            raise no_such_tag(self, repository, tag) from None

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """As `resolve` says."""
        return None if self.resolve(repository, tag) == known else self.manifest(repository, tag)

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """By tag or digest."""
        digest = Digest(reference) if ":" in reference else self.resolve(repository, reference)
        raw = self.read_blob(repository, digest, METADATA_LIMIT)
        return RawManifest(raw, digest, self._once(_stated_types).get(digest))

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """Streamed from its file, and verified."""
        wanted = Digest(digest)
        with self._existing(wanted).open("rb") as file:
            yield from verified(iter(lambda: file.read(_CHUNK), b""), wanted, f"a blob of {self.location}")

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """Streamed from its file."""
        with self._existing(blob.digest).open("rb") as file:
            file.seek(start)
            yield from iter(lambda: file.read(_CHUNK), b"")

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """From its file, verified."""
        wanted = Digest(digest)
        return wanted.verify(
            _read_file(self._existing(wanted), limit, f"the blob {wanted}"), f"a blob of {self.location}"
        )

    def blob_size(self, repository: str, digest: str) -> int:
        """The file's size."""
        return self._existing(Digest(digest)).stat().st_size

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """None: all repositories of a layout are one place."""
        return None

    def stored_blobs(self) -> Mapping[str, int] | None:
        """The files in `blobs`."""
        found = (path for path in (self.folder / "blobs").glob("*/*") if path.is_file())
        return {f"{path.parent.name}:{path.name}": path.stat().st_size for path in found}

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """None: a layout does not say."""
        return None

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """Entries of `index.json` without a name whose manifest has this `subject`."""
        return self._referring.get(digest, [])

    @property
    def _referring(self) -> dict[str, list[Descriptor]]:
        return self._once(self._by_subject)

    def _by_subject(self, index: OCIIndex) -> dict[str, list[Descriptor]]:
        found: dict[str, list[Descriptor]] = {}
        for entry in index.manifests:
            if name_of(entry) is None and (subject := self._subject(entry)):
                found.setdefault(subject, []).append(entry)
        return found

    def _subject(self, entry: Descriptor) -> Digest | None:
        """What an unnamed entry refers to, if that is here; a manifest that cannot be read is left to the scan."""
        try:
            manifest = self.manifest(self._own_name, entry.digest).parse()
        except RegscopeError:
            return None
        subject = getattr(manifest, "subject", None)
        return subject.digest if subject is not None and self.path(subject.digest).is_file() else None

    @property
    def _own_name(self) -> str:
        return self.folder.resolve().name

    def path(self, digest: Digest) -> Path:
        """Where a blob is, or would be."""
        return self.folder / "blobs" / digest.algorithm / digest.encoded

    def _existing(self, digest: Digest) -> Path:
        path = self.path(digest)
        if not path.is_file():
            raise ContentMissing(
                f"{self.location} lacks the blob {digest}", next_step="The layout is incomplete: copy the image again."
            )
        return path

    def __repr__(self) -> str:
        return f"OCILayoutStore({os.fspath(self.folder)!r})"

    def _repr_html_(self) -> str:
        return text.card("OCI image layout", {"folder": self.folder, "repositories": len(self.repositories())})


class _Read(NamedTuple):
    """An `index.json` that was read, and what told it from an earlier one."""

    stamp: tuple[int, int, int]
    document: OCIIndex


def read_index(path: Path) -> OCIIndex:
    """A layout's `index.json`.

    Raises:
        StoreError: it is no image index.
    """
    raw = _read_file(path, METADATA_LIMIT * 8, "index.json")
    try:
        return OCIIndex.from_document(json.loads(raw), raw)
    except (ValidationError, ValueError, RecursionError) as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else str(error)
        raise StoreError(f"{path} is not an image index: {fault}", next_step="Copy the images again.") from None


def _stated_types(index: OCIIndex) -> dict[str, str]:
    return {entry.digest: entry.mediaType for entry in index.manifests if entry.mediaType in MANIFESTS}


def name_of(entry: Descriptor) -> str | None:
    """The name that an entry of `index.json` has."""
    return entry.annotations.get(CONTAINERD_NAME) or entry.annotations.get(REF_NAME) or None


def _read_file(path: Path, limit: int, what: str) -> bytes:
    size = path.stat().st_size
    if size > limit:
        raise too_large(what, size, limit)
    return path.read_bytes()
