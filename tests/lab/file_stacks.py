"""Images whose layers have files and packages, a line for each: what is in them can be worked out on paper."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pandas as pd

from regscope.layers.packages import package_list, packages_in
from regscope.spec.digest import Digest
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, digest
from tests.lab.snapshots import Registry

OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def file(path: str, content: str = "", **more: Any) -> dict[str, Any]:
    """A regular file."""
    return {"path": path, "kind": "file", "content": content, **more}


def directory(path: str, **more: Any) -> dict[str, Any]:
    """A directory."""
    return {"path": path, "kind": "directory", "mode": 0o755, **more}


def link(path: str, target: str) -> dict[str, Any]:
    """A symlink."""
    return {"path": path, "kind": "symlink", "link_target": target, "mode": 0o777}


def whiteout(path: str, kind: str = "delete") -> dict[str, Any]:
    """What hides `path` in lower layers."""
    return {"path": path, "kind": "file", "whiteout": kind}


class FileRegistry(Registry):
    """A registry whose layers have files, as a scan would have read them."""

    def files(self, layer: str, *entries: dict[str, Any]) -> None:
        """The files of a layer by its name; their times are in days before now."""
        for position, entry in enumerate(entries):
            content = str(entry.get("content", "")).encode()
            is_file = entry["kind"] == "file" and "whiteout" not in entry
            self.rows["files"].append(
                (digest(layer), position, entry["path"], entry["kind"], len(content), entry.get("mode", 0o644),
                 entry.get("uid", 0), 0, NOW - timedelta(days=entry.get("days", 0)), entry.get("link_target"), None,
                 entry.get("xattrs"), Digest.of(content).partition(":")[2] if is_file else None, None, None,
                 entry.get("whiteout"))
            )  # fmt: skip
            if is_file and (manager := package_list(entry["path"])):
                found = packages_in(manager, entry["path"], content)
                self.rows["packages"] += [(digest(layer), *row) for row in found]
        self.rows["unpacked"].append((digest(layer), digest(layer), "none", 1, 1024, len(entries)))

    def snapshot(self) -> Snapshot:
        """The tables; the media type of every layer is that of a tar."""
        snap = super().snapshot()
        types = pd.Categorical([OCI_LAYER] * len(snap.layers), categories=pd.Index([OCI_LAYER], dtype="str"))
        return dataclasses.replace(snap, layers=snap.layers.assign(media_type=types))
