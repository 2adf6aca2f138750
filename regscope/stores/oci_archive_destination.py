"""An oci-archive as a destination of copies: a tar of a layout, as skopeo, podman and `ctr image import` read it."""

from __future__ import annotations

import shutil
import tarfile
import threading
from collections.abc import Iterable
from pathlib import Path

from regscope.errors import NotAStore
from regscope.registry.local_content import opened_anew
from regscope.registry.manifests import RawManifest
from regscope.registry.request_body import Content
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Name, Taken
from regscope.stores.kinds import LAYOUT, OCI_ARCHIVE, load
from regscope.stores.layout_destination import LayoutDestination
from regscope.stores.layout_files import INDEX, MARKER, kind_of_archive
from regscope.stores.layout_index import UNFINISHED, LayoutIndex
from regscope.stores.layout_store import blob_path, name_of


class OCIArchiveDestination:
    """Writes images to a folder beside the file, and to the file when it is closed.

    An existing archive is replaced. Content of an earlier run in the folder is not fetched again. Equal images give
    equal bytes.

    Raises:
        NotAStore: the file is no archive, or the folder was not made for it.
    """

    kind = OCI_ARCHIVE

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise NotAStore(
                f"{self.path} is a folder", next_step=f"Name a file, or write {LAYOUT.at(self.path)} for a layout."
            )
        if self.path.exists() and not self._may_be_replaced():
            raise NotAStore(
                f"{self.path} exists, and is not an image archive: it was not changed", next_step="Name a new file."
            )
        self._folder = self.path.with_name(f"{self.path.name}.unfinished")
        self._check_workplace()
        self._lock = threading.Lock()
        self._made: LayoutDestination | None = None

    @property
    def _layout(self) -> LayoutDestination:
        """The folder as a layout, created on first use."""
        with self._lock:
            if self._made is None:
                self._made = LayoutDestination(self._folder)
                self._mark.parent.mkdir(parents=True, exist_ok=True)
                opened_anew(self._mark).close()
                (self._folder / INDEX).unlink(missing_ok=True)  # it lists the images of an earlier run
            return self._made

    @property
    def _mark(self) -> Path:
        """The file that marks the folder as this archive's; it is deleted when the archive is written."""
        return self._folder / UNFINISHED / "archive"

    def _may_be_replaced(self) -> bool:
        return self.path.is_file() and (self.path.stat().st_size == 0 or kind_of_archive(self.path) is not None)

    def _check_workplace(self) -> None:
        is_new = not self._folder.exists() or (self._folder.is_dir() and not any(self._folder.iterdir()))
        if self._folder.is_symlink() or not (is_new or self._mark.is_file()):
            raise NotAStore(
                f"{self._folder} exists, and was not made for this archive",
                next_step="Name another file, or move that folder elsewhere.",
            )

    @property
    def location(self) -> str:
        """`oci-archive:` and the file."""
        return self.kind.at(self.path)

    def check(self, repository: str, reference: str, manifest: RawManifest) -> None:
        """Do nothing: an oci-archive can have any manifest under any name."""

    def in_the_way(self, names: Iterable[Name]) -> dict[str, Digest]:
        """All names in the present file that are not written again: the whole file is replaced."""
        kind = kind_of_archive(self.path) if self.path.exists() and self.path.stat().st_size else None
        if kind is None:
            return {}
        there: ContentStore = load(kind.reader)(self.path)
        coming = {(self.as_read(name.repository), name.reference): name.digest for name in names}
        return {
            f"{repository}{'@' if ':' in reference else ':'}{reference}": digest
            for repository in there.repositories()
            for reference in (*there.tags(repository), *there.untagged(repository))
            if coming.get((repository, reference)) != (digest := there.resolve(repository, reference))
        }

    def as_read(self, repository: str) -> str:
        """The name of a repository as it is read from the file."""
        return repository

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """False: each manifest of the new archive must be listed."""
        return False

    def take_blob(self, repository: str, digest: Digest, content: Content, nearby: str | None) -> Taken:
        """Writes to the folder."""
        return self._layout.take_blob(repository, digest, content, nearby)

    def take_manifest(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """Writes to the folder."""
        self._layout.take_manifest(repository, reference, manifest)

    def take_back(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """As `take_manifest`: a layout has no lists of referrers."""
        self.take_manifest(repository, reference, manifest)

    def close(self) -> None:
        """Write the archive, and delete the folder."""
        self._layout.close()
        self._put_in_order()
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            with opened_anew(part) as file, tarfile.open(fileobj=file, mode="w") as archive:
                for name in (*self._first_files(), MARKER, INDEX, *self._blobs()):
                    archive.add(self._folder / name, name, filter=_without_owner)
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        shutil.rmtree(self._folder)

    def _put_in_order(self) -> None:
        """Sort the entries of `index.json`: images are taken in any order, and equal images must give equal files."""
        index = LayoutIndex(self._folder)
        with index.alone():
            index.write(sorted(index.entries(), key=lambda entry: (name_of(entry) or "", entry.digest)))
        index.tidy()

    def _first_files(self) -> list[str]:
        """The files before the layout in the tar; they are written to the folder."""
        return []

    def _blobs(self) -> list[str]:
        """The blobs that the images need; the folder may have others of an earlier run."""
        return sorted(map(blob_path, self._layout.needed()))


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry
