"""The files of an OCI image layout, in a folder or in a tar (OCI image-spec, image-layout.md)."""

from __future__ import annotations

import posixpath
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from regscope.errors import ContentMissing, NotAStore
from regscope.pieces import pieces_of
from regscope.registry.responses import too_large
from regscope.stores.kinds import DOCKER_ARCHIVE, LAYOUT, OCI_ARCHIVE, Kind
from regscope.stores.tar_members import TarMembers

MARKER, INDEX = "oci-layout", "index.json"


class LayoutFiles(Protocol):
    """Access to the files of a layout by their paths in it."""

    @property
    def location(self) -> str:
        """The layout's location as users write it."""

    @property
    def own_name(self) -> str:
        """The repository of entries whose name is only a tag, and of those without a name."""

    @property
    def stamp(self) -> Hashable:
        """A value that changes with `index.json`, as another process may be copying to the layout."""

    def __contains__(self, path: str) -> bool:
        """Whether the file exists."""

    def size(self, path: str) -> int:
        """The size of a file in bytes; ContentMissing where it does not exist."""

    def chunks(self, path: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a file, from byte `start`."""

    def read(self, path: str, limit: int) -> bytes:
        """The whole file; TooLarge above `limit` bytes."""

    def blobs(self) -> Mapping[str, int]:
        """The sizes of all blobs, by the digests in their paths."""


class FolderFiles:
    """The files of a layout in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def location(self) -> str:
        return LAYOUT.at(self.folder)

    @property
    def own_name(self) -> str:
        return self.folder.resolve().name

    @property
    def stamp(self) -> Hashable:
        now = (self.folder / INDEX).stat()
        return now.st_ino, now.st_mtime_ns, now.st_size

    def __contains__(self, path: str) -> bool:
        return (self.folder / path).is_file()

    def size(self, path: str) -> int:
        return self._existing(path).stat().st_size

    def chunks(self, path: str, start: int = 0) -> Iterator[bytes]:
        with self._existing(path).open("rb") as file:
            file.seek(start)
            yield from pieces_of(file)

    def read(self, path: str, limit: int) -> bytes:
        found = self._existing(path)
        if (size := found.stat().st_size) > limit:
            raise too_large(path, size, limit)
        return found.read_bytes()

    def blobs(self) -> Mapping[str, int]:
        found = (path for path in (self.folder / "blobs").glob("*/*") if path.is_file())
        return {f"{path.parent.name}:{path.name}": path.stat().st_size for path in found}

    def _existing(self, path: str) -> Path:
        found = self.folder / path
        if not found.is_file():
            raise ContentMissing(
                f"{self.location} lacks the file {path}", next_step="The layout is incomplete: copy the image again."
            )
        return found


class TarFiles(TarMembers):
    """The files of a layout in a tar. Of two members with one name the last counts, as when a tar is unpacked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, OCI_ARCHIVE.at(path), first_counts=False)

    @property
    def own_name(self) -> str:
        return self.path.stem

    def blobs(self) -> Mapping[str, int]:
        found = [name for name in self.names if posixpath.dirname(posixpath.dirname(name)) == "blobs" and name in self]
        return {":".join(name.split("/")[1:]): self.size(name) for name in found}


def is_layout(files: LayoutFiles) -> bool:
    """Whether `oci-layout` and `index.json` exist.

    Raises:
        NotAStore: the folder or the tar does not exist, or cannot be read.
    """
    return MARKER in files and INDEX in files


def kind_of_archive(path: Path) -> Kind | None:
    """The kind of archive that a tar is; None where it is none."""
    members = TarMembers(path, str(path), first_counts=True)
    try:
        if "manifest.json" in members:  # docker's archives have it, with or without a layout
            return DOCKER_ARCHIVE
        return OCI_ARCHIVE if MARKER in members and INDEX in members else None
    except NotAStore:
        return None
