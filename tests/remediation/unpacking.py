"""What an independent unpacker makes of an image, and how two such trees differ."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.analysis.test_final_tree import on_disk

Tree = dict[str, dict[str, Any]]


def unpacked(image: str, folder: Path) -> Tree:
    """What umoci puts on disk; a directory's time is absent where umoci itself has touched it."""
    as_whom = () if os.getuid() == 0 else ("--rootless",)
    began = time.time_ns() // 1000
    command = ["umoci", "raw", "unpack", *as_whom, "--image", image, str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    tree = on_disk(folder)
    for each in tree.values():
        if each["kind"] == "directory" and each["mtime"] >= began:
            each["mtime"] = None
    return tree


def assert_same(before: Tree, after: Tree) -> None:
    """Path, kind, size, mode, owner, time, link, content, device, xattrs, and which names are of one file."""
    assert before.keys() == after.keys()
    for path, entry in before.items():
        other = dict(after[path])
        if entry["kind"] == "directory" and None in (entry["mtime"], other["mtime"]):
            other["mtime"] = entry["mtime"]
        assert other == entry, path
