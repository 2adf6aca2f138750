"""Small registries made by hand, with the files of their layers: in memory, or the same on disk.

made = FilesRegistry(base=10)
made.layer("base", file("etc/motd", "hello"), symlink("bin", "usr/bin"))
made.layer("app", whiteout("etc/motd"), directory("app"), file("app/run", "#!", mode=0o4755))
made.image("one", ["base", "app=RUN make"], "r:1")
snap = made.snapshot()
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from regscope.file_rows import FilesOnDisk, FilesWriter
from regscope.schema import TABLES
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, digest
from tests.lab.snapshots import Registry


@dataclass(frozen=True)
class Entry:
    """One entry of a tar: a row of `files` without its layer and position."""

    path: str
    kind: str = "file"
    size: int = 0
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: datetime | None = NOW
    link_target: str | None = None
    device: str | None = None
    xattrs: str | None = None
    sha256: str | None = None
    magic: str | None = None
    secret: str | None = None
    whiteout: str | None = None


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def file(path: str, content: str = "", size: int | None = None, **more: Any) -> Entry:
    """A regular file. Its size is that of the content, unless the content is only a name for more bytes."""
    return Entry(path, size=len(content.encode()) if size is None else size, sha256=sha256(content), **more)


def directory(path: str, **more: Any) -> Entry:
    return Entry(path, "directory", **{"mode": 0o755, **more})


def symlink(path: str, target: str, **more: Any) -> Entry:
    return Entry(path, "symlink", link_target=target, **{"mode": 0o777, **more})


def hardlink(path: str, target: str, **more: Any) -> Entry:
    return Entry(path, "hardlink", link_target=target, **more)


def device(path: str, number: str, kind: str = "character device", **more: Any) -> Entry:
    return Entry(path, kind, device=number, **more)


def whiteout(path: str) -> Entry:
    """What hides `path` of the layers below."""
    return Entry(path, sha256=sha256(""), whiteout="delete")


def opaque(path: str) -> Entry:
    """What hides all that the layers below have in the directory `path`."""
    return Entry(path, sha256=sha256(""), whiteout="opaque")


class FilesRegistry(Registry):
    """A registry whose layers were read. `tar_size` of a layer is twice its size, if not told otherwise."""

    def layer(
        self,
        name: str,
        *entries: Entry,
        tar_size: int | None = None,
        compression: str = "gzip",
        same_tar_as: str | None = None,
    ) -> str:
        """Add what a layer holds; its digest. Of two layers that are the same tar only the compression differs."""
        layer, size = digest(name), self.sizes.get(name, 1) or 0
        diff_id = digest(f"diff of {digest(same_tar_as or name)}")
        self.rows["unpacked"].append(
            (layer, diff_id, compression, size, 2 * size if tar_size is None else tar_size, len(entries))
        )
        self.rows["files"] += [(layer, at, *dataclasses.astuple(entry)) for at, entry in enumerate(entries)]
        return layer


def on_disk(snap: Snapshot, folder: Path) -> Snapshot:
    """The same snapshot with its files in a new folder."""
    assert isinstance(snap.files, pd.DataFrame)
    writer = FilesWriter(folder)
    for _, rows in snap.files.groupby("layer_digest", observed=True, sort=False):
        writer.add(pa.Table.from_pandas(rows, preserve_index=False))
    writer.close()
    return dataclasses.replace(snap, files=FilesOnDisk(folder))


assert [field.name for field in dataclasses.fields(Entry)] == [column.name for column in TABLES["files"][2:]]
