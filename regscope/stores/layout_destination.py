"""An OCI image layout as a destination of copies (OCI image-spec, image-layout.md)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from regscope.errors import NotAStore
from regscope.pieces import pieces_of
from regscope.registry.background_hash import background_hash
from regscope.registry.local_content import LocalContent
from regscope.registry.manifests import RawManifest
from regscope.registry.request_body import Content
from regscope.spec.annotations import REF_NAME
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, Passing, mismatch
from regscope.stores.destination import Name, Taken
from regscope.stores.kinds import LAYOUT
from regscope.stores.layout_contents import below
from regscope.stores.layout_index import LayoutIndex, check_no_links
from regscope.stores.layout_store import blob_path, image_name
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.stored_names import ImageName


class LayoutDestination:
    """Writes images to the folder of a layout, which is created if it does not exist.

    A blob appears only when it is complete and verified; before, it is in a separate folder, where the next run
    continues it. Several processes may write to one layout.

    Raises:
        NotAStore: the folder has other content.
        StoreError: the layout has symbolic links, through which nothing is written.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._index = LayoutIndex(self.folder)
        if self.folder.is_file() or (self.folder.is_dir() and any(self.folder.iterdir()) and not self._is_layout()):
            raise NotAStore(
                f"{self.folder} exists, and is not an OCI image layout", next_step="Name an empty or a new folder."
            )

    def _is_layout(self) -> bool:
        return (self.folder / "oci-layout").is_file() or self._index.unfinished.is_dir()

    @property
    def location(self) -> str:
        """`oci:` and the folder."""
        return LAYOUT.at(self.folder)

    def check(self, repository: str, reference: str, manifest: RawManifest) -> None:
        """Do nothing: a layout can have any manifest under any name."""

    def in_the_way(self, names: Iterable[Name]) -> dict[str, Digest]:
        """The names to be moved, by the entries of `index.json`."""
        coming = {(name.repository, name.reference): name.digest for name in names if name.is_tag}
        own = self.folder.resolve().name
        found = [(image_name(entry, own), entry.digest) for entry in self._index.entries()]
        return {
            f"{name.repository}:{name.tag}": digest
            for name, digest in found
            if name is not None and name.tag and coming.get((name.repository, name.tag), digest) != digest
        }

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """Whether the manifest's file exists."""
        return self._has(digest)

    def take_blob(self, repository: str, digest: Digest, content: Content, nearby: str | None) -> Taken:
        """Writes the blob to a file, continuing that of an earlier run; the whole blob is verified."""
        if self._has(digest):
            return "there"
        self._index.unfinished.mkdir(parents=True, exist_ok=True)
        part = self._index.unfinished / digest.replace(":", "-")
        with self._opened(part) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self._has(digest):  # another process has written it
                part.unlink(missing_ok=True)
                return "there"
            file.seek(0)
            passing = Passing(digest.algorithm)
            for piece in pieces_of(file):
                passing.take(piece)
            resumed = passing.size > 0
            file.writelines(background_hash(passing, content.pieces(passing.size)))
            if resumed and passing.digest != digest:
                passing = Passing(digest.algorithm)
                file.truncate(0)
                file.writelines(background_hash(passing, content.pieces()))
            file.flush()
            if passing.digest != digest:
                file.truncate(0)
                raise mismatch(digest, passing.digest, f"the blob for {self.location}")
            path = self._path(digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
        return "sent"

    def take_manifest(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """Writes the manifest as a blob; one with a reference or a subject gets an entry in `index.json`."""
        self.take_blob(repository, manifest.digest, LocalContent.of(manifest.raw), None)
        parsed = manifest.parse()
        if reference is None and parsed.subject is None:
            return
        by_digest = reference is not None and ":" in reference
        name = ImageName(repository, None, reference) if by_digest else ImageName(repository, reference, None)
        entry = Descriptor(
            mediaType=parsed.media_type,
            digest=manifest.digest,
            size=len(manifest.raw),
            annotations={REF_NAME: str(name)} if reference is not None else {},
            artifactType=parsed.artifactType,
        )
        with self._index.alone():
            own = self.folder.resolve().name
            kept = [other for other in self._index.entries() if not _replaces(entry, other, own)]
            self._index.write([*kept, entry])

    def take_back(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """As `take_manifest`: a layout has no lists of referrers."""
        self.take_manifest(repository, reference, manifest)

    def close(self) -> None:
        """Write an `index.json` if there is none: an empty layout is valid, too."""
        with self._index.alone():
            if not (self.folder / "index.json").is_file():
                self._index.write([])
        self._index.tidy()

    def needed(self) -> set[Digest]:
        """The digests of all content below `index.json`; other files are leftovers of earlier runs."""
        store = OCILayoutStore(self.folder)
        return below(store, [entry.digest for entry in self._index.entries()])

    def _path(self, digest: Digest) -> Path:
        return self.folder / blob_path(digest)

    def _has(self, digest: Digest) -> bool:
        check_no_links(self.folder, blob_path(digest))
        return self._path(digest).is_file()

    def _opened(self, part: Path) -> IO[bytes]:
        """The file that an earlier run began, opened for appending."""
        check_no_links(self.folder, str(part.relative_to(self.folder)))
        return open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666), "a+b")  # noqa: PTH123


def adding_to(store: OCILayoutStore) -> LayoutDestination:
    """The destination for an open layout."""
    return LayoutDestination(store.folder)


def _replaces(entry: Descriptor, other: Descriptor, own_name: str) -> bool:
    """Whether `entry` has the same repository and tag as `other`, also if written differently; untagged entries must
    also have the same digest.
    """
    name, old = (image_name(one, own_name) for one in (entry, other))
    if name is None or old is None:
        return name is old and entry.digest == other.digest
    same = (name.repository, name.tag) == (old.repository, old.tag)
    return same and (name.tag is not None or entry.digest == other.digest)
