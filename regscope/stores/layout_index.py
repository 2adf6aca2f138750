"""Changing the `index.json` of an OCI image layout (OCI image-spec, image-layout.md)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from regscope.spec.descriptor import Descriptor
from regscope.spec.media_types import OCI_INDEX
from regscope.stores.layout_files import INDEX, MARKER, FolderFiles
from regscope.stores.layout_store import INDEX_LIMIT, parse_index
from regscope.stores.layout_writer import encoded, fields_of


class LayoutIndex:
    """The entries of the layout in `folder`; one process at a time changes them.

    Attributes:
        unfinished: a folder beside them, for what is not whole yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unfinished = folder / ".unfinished"

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
            part = self.unfinished / name
            part.write_bytes(encoded(content))
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
