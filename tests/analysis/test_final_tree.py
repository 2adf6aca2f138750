"""The file system that is worked out from the tables is the one that is put on disk."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from regscope.analysis.final_tree import final_files
from regscope.tables import Snapshot
from tests.lab import layered
from tests.lab.corners import CORNERS, MORE_CORNERS
from tests.lab.real_images import real_images

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
}
HAND_MADE = CORNERS | MORE_CORNERS
REFUSED_BY_CONTAINERD = {"whiteouts below the file that takes a folder's place"}  # umoci writes such layers
UNLIKE_UMOCI = {
    "a whiteout in the lowest layer": "containerd makes the directory that a whiteout is in",
    "a whiteout spares its own layer": "in containerd's eyes it does not",
    "a link to a lower layer": "containerd gives a file the owner, mode and time of the last hardlink to it",
}


def on_disk(folder: Path) -> dict[str, dict[str, Any]]:
    """What a folder holds, by path; `names` are all paths of one file."""
    found: dict[str, dict[str, Any]] = {}
    names: dict[int, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        status, name = path.lstat(), str(path.relative_to(folder))
        kind = KINDS[stat.S_IFMT(status.st_mode)]
        names.setdefault(status.st_ino, []).append(name)
        found[name] = {
            "kind": kind,
            "size": status.st_size if kind == "file" else 0,
            "mode": stat.S_IMODE(status.st_mode) if kind != "symlink" else None,
            "owner": (status.st_uid, status.st_gid),
            "mtime": status.st_mtime_ns // 1000,
            "link": os.readlink(path) if kind == "symlink" else None,  # noqa: PTH115  # Path leaves out `./`
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" else None,
            "device": f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" if kind.endswith("device") else None,
            "xattrs": {name: os.getxattr(path, name, follow_symlinks=False) for name in xattrs(path)},
            "names": names[status.st_ino],
        }
    return found


def xattrs(path: Path) -> list[str]:
    return os.listxattr(path, follow_symlinks=False)


def in_table(files: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The same of what `final_files` gives."""
    names = files.groupby("inode")["path"].agg(list)
    found: dict[str, dict[str, Any]] = {}
    for row in files[files["path"] != ""].astype(object).itertuples():
        absent = {column for column in files if pd.isna(getattr(row, column))}
        found[row.path] = {
            "kind": row.kind,
            "size": row.size,
            "mode": row.mode if row.kind != "symlink" else None,
            "owner": (row.uid, row.gid),
            "mtime": None if "mtime" in absent else row.mtime.value // 1000,
            "link": None if "link_target" in absent else row.link_target,
            "sha256": None if "sha256" in absent else row.sha256,
            "device": None if "device" in absent else row.device,
            "xattrs": {}
            if "xattrs" in absent
            else {name: base64.b64decode(value) for name, value in json.loads(row.xattrs).items()},
            "names": names[row.inode],
        }
    return found


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshot]:
    folder = tmp_path_factory.mktemp("hand made") / "layout"
    layered.write(folder, HAND_MADE)
    return folder, layered.read(folder)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshot, dict[str, str]]:
    folder = tmp_path_factory.mktemp("real") / "layout"
    images = real_images()
    layered.write(folder, images)
    return folder, layered.read(folder), layered.named(images)


def assert_unpacked(image: str, files: pd.DataFrame, folder: Path) -> None:
    """umoci puts on disk what the table says."""
    as_whom = () if os.getuid() == 0 else ("--rootless",)
    command = ["umoci", "raw", "unpack", *as_whom, "--image", image, str(folder)]
    began = time.time_ns() // 1000
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    disk, table = on_disk(folder), in_table(files)
    assert table.keys() == disk.keys()
    for path, said in table.items():
        if os.getuid() != 0:
            said["owner"] = disk[path]["owner"]
        if len(said["names"]) > 1 or path.endswith(".link"):
            # A file has the header of the last hardlink to it, as for containerd; for umoci its own.
            said |= {field: disk[path][field] for field in ("mode", "owner", "mtime")}
        if said["mtime"] is None or (said["kind"] == "directory" and disk[path]["mtime"] >= began):
            # No layer has an entry for it, or umoci itself has touched it by a late whiteout.
            said["mtime"] = disk[path]["mtime"]
        assert said == disk[path], path


@pytest.mark.parametrize("corner", [corner for corner in HAND_MADE if corner not in UNLIKE_UMOCI])
def test_a_hand_made_image_unpacks_to_what_the_table_says(
    corner: str, hand_made: tuple[Path, Snapshot], tmp_path: Path
) -> None:
    folder, snap = hand_made
    name = layered.named(HAND_MADE)[corner]
    assert_unpacked(f"{folder}:{name}", final_files(snap, name), tmp_path / "unpacked")


def test_real_images_unpack_to_what_the_table_says(real: tuple[Path, Snapshot, dict[str, str]], tmp_path: Path) -> None:
    folder, snap, names = real
    for image, name in names.items():
        files = final_files(snap, name)
        assert len(files) > 50, image
        assert_unpacked(f"{folder}:{name}", files, tmp_path / name)
