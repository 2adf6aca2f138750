"""Changing the `index.json` of an OCI image layout (OCI image-spec, image-layout.md)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from regscope.errors import StoreError
from regscope.registry.local_content import opened_anew
from regscope.spec.descriptor import Descriptor
from regscope.spec.json_forms import compact
from regscope.spec.media_types import OCI_INDEX
from regscope.stores.layout_files import INDEX, MARKER, FolderFiles
from regscope.stores.layout_store import INDEX_LIMIT, parse_index
from regscope.stores.layout_writer import fields_of

UNFINISHED = ".unfinished"


def check_no_links(folder: Path, *names: str) -> None:
    """Make sure that writing below a folder changes nothing outside: its content may be another user's.

    Raises:
        StoreError: a file, or a folder in its path, is a symbolic link; the folder itself may be one.
    """
    for name in names:
        path = folder
        for part in Path(name).parts:
            path /= part
            if path.is_symlink():
                raise StoreError(
                    f"{path} is a symbolic link: nothing is written through it",
                    next_step="Name another folder, or replace the link with the file or folder that it points to.",
                )


class LayoutIndex:
    """The entries of the layout in `folder`; one process at a time changes them.

    Attributes:
        unfinished: the folder of incomplete blobs, in the layout.

    Raises:
        StoreError: the layout has symbolic links.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unfinished = folder / UNFINISHED
        check_no_links(folder, UNFINISHED, MARKER, INDEX, "blobs/sha256", "blobs/sha512")

    def entries(self) -> list[Descriptor]:
        """The entries; None where there is no `index.json` yet."""
        files = FolderFiles(self.folder)
        if INDEX not in files:
            return []
        return list(parse_index(files.read(INDEX, INDEX_LIMIT), str(self.folder / INDEX)).manifests)

    def write(self, entries: list[Descriptor]) -> None:
        """Write `index.json`; call it within `alone`."""
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [fields_of(entry) for entry in entries]}
        for name, content in ((MARKER, {"imageLayoutVersion": "1.0.0"}), (INDEX, document)):
            self.replace(name, compact(content))

    def replace(self, name: str, content: bytes) -> None:
        """Replace a file of the layout atomically."""
        check_no_links(self.folder, name)
        part = self.unfinished / name.replace("/", "-")
        with opened_anew(part) as file:
            file.write(content)
        part.replace(self.folder / name)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """A context in which no other process changes the index."""
        with self._locked():
            self.unfinished.mkdir(exist_ok=True)  # after locking: the process before may have deleted the folder
            yield

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def tidy(self) -> None:
        """Delete the folder of incomplete blobs if it is empty."""
        with self._locked(), contextlib.suppress(OSError):  # not empty: a blob is incomplete
            self.unfinished.rmdir()
