"""An oci-archive: an OCI image layout in one tar, as skopeo, podman and `docker buildx build -o type=oci` write it."""

from __future__ import annotations

import os
from pathlib import Path

from regscope import text
from regscope.errors import NotAStore
from regscope.stores.kinds import OCI_ARCHIVE
from regscope.stores.layout_files import TarFiles, is_layout, kind_of_archive
from regscope.stores.layout_store import LayoutStore


class OCIArchiveStore(LayoutStore):
    """Images in a layout's tar, compressed or not, which is not unpacked; see `LayoutStore` for the meaning of names.

    Raises:
        NotAStore: the file is no oci-archive.
    """

    kind = OCI_ARCHIVE

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        files = TarFiles(self.path)
        try:
            if not is_layout(files):
                raise NotAStore("it has no oci-layout and index.json files")
        except NotAStore as error:
            raise self._no_archive(error.message) from None
        super().__init__(files)

    def _no_archive(self, why: str) -> NotAStore:
        kind = kind_of_archive(self.path)
        next_step = "Write one with `skopeo copy … oci-archive:FILE:NAME` or `docker buildx build -o type=oci`."
        return NotAStore(
            f"{self.path} is not an oci-archive: {why}",
            next_step=f"It is a docker-archive: write {kind.at(self.path)}." if kind else next_step,
        )

    def __repr__(self) -> str:
        return f"OCIArchiveStore({os.fspath(self.path)!r})"

    def _repr_html_(self) -> str:
        return text.card("oci-archive", {"file": self.path, "repositories": len(self.repositories())})
