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
    """Make sure that what is written below a folder stays there: somebody else may have made what is in it.

    Raises:
        StoreError: a file, or a folder on the way to it, is a link; the folder itself may be reached by one.
    """
    for name in names:
        path = folder
        for part in Path(name).parts:
            path /= part
            if path.is_symlink():
                raise StoreError(
                    f"{path} is a link: nothing is written through it",
                    next_step="Name another folder, or replace the link with what it leads to.",
                )


class LayoutIndex:
    """The entries of the layout in `folder`; one process at a time changes them.

    Attributes:
        unfinished: a folder beside them, for what is not whole yet.

    Raises:
        StoreError: there are links in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unfinished = folder / UNFINISHED
        check_no_links(folder, UNFINISHED, MARKER, INDEX, "blobs/sha256", "blobs/sha512")

    def entries(self) -> list[Descriptor]:
        """None where there is no index yet."""
        files = FolderFiles(self.folder)
        if INDEX not in files:
            return []
        return list(parse_index(files.read(INDEX, INDEX_LIMIT), str(self.folder / INDEX)).manifests)

    def write(self, entries: list[Descriptor]) -> None:
        """To be called while nobody else changes it."""
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [fields_of(entry) for entry in entries]}
        for name, content in ((MARKER, {"imageLayoutVersion": "1.0.0"}), (INDEX, document)):
            self.replace(name, compact(content))

    def replace(self, name: str, content: bytes) -> None:
        """Write a file of the layout, all of it or nothing."""
        check_no_links(self.folder, name)
        part = self.unfinished / name.replace("/", "-")
        with opened_anew(part) as file:
            file.write(content)
        part.replace(self.folder / name)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else changes it."""
        with self._locked():
            self.unfinished.mkdir(exist_ok=True)  # now: whoever had the lock before may have tidied up
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
        """Leave no empty folder behind."""
        with self._locked(), contextlib.suppress(OSError):  # not empty: somebody is at work, or something was given up
            self.unfinished.rmdir()
