"""An OCI image layout in a folder (OCI image-spec, image-layout.md)."""

from __future__ import annotations

import os
from pathlib import Path

from regscope import text
from regscope.errors import NotAStore
from regscope.spec.digest import Digest
from regscope.stores.kinds import LAYOUT
from regscope.stores.layout_files import FolderFiles, is_layout, kind_of_archive
from regscope.stores.layout_store import LayoutStore, blob_path


class OCILayoutStore(LayoutStore):
    """Images in a layout's folder; see `LayoutStore` for the meaning of names.

    Raises:
        NotAStore: the folder is no layout.
    """

    kind = LAYOUT

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        files = FolderFiles(self.folder)
        if not is_layout(files):
            raise self._no_layout()
        super().__init__(files)

    def _no_layout(self) -> NotAStore:
        next_step = "Write one with `skopeo copy … oci:DIR:NAME`, or try `regscope demo`."
        missing = "no such folder" if not self.folder.is_dir() else "it has no oci-layout and index.json files"
        if self.folder.is_file():
            missing = "it is a file"
            if kind := kind_of_archive(self.folder):
                next_step = f"Write {kind.at(self.folder)}."
        return NotAStore(f"{self.folder} is not an OCI image layout: {missing}", next_step=next_step)

    def path(self, digest: Digest) -> Path:
        """The path of a blob's file, which need not exist."""
        return self.folder / blob_path(digest)

    def __repr__(self) -> str:
        return f"OCILayoutStore({os.fspath(self.folder)!r})"

    def _repr_html_(self) -> str:
        return text.card("OCI image layout", {"folder": self.folder, "repositories": len(self.repositories())})
