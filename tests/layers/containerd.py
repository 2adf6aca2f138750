"""What containerd makes of layers: the program in `containerd_apply`, built by `.ci/prepare` where there is Go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.test_final_tree import on_disk

NAME = "containerd-apply"

Tree = dict[str, dict[str, Any]]


def program() -> str:
    """Its path. Skips the test where it was not built, or may not set owners."""
    found = shutil.which(NAME) or shutil.which(NAME, path=Path(sys.executable).parent)
    if found is None:
        pytest.skip(f"needs {NAME}, which is built where there is Go")
    if os.getuid() != 0:
        pytest.skip("needs root: containerd sets the owners of files")
    return found


def applied(layout: Path, tag: str, folder: Path) -> Tree | None:
    """What containerd puts on disk of an image in a layout; None where it refuses to."""
    blobs = layout / "blobs" / "sha256"
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = next(e["digest"] for e in entries if e["annotations"]["org.opencontainers.image.ref.name"] == tag)
    layers = json.loads((blobs / manifest.removeprefix("sha256:")).read_bytes())["layers"]
    paths = [str(blobs / layer["digest"].removeprefix("sha256:")) for layer in layers]
    done = subprocess.run([program(), str(folder), *paths], capture_output=True, timeout=60)
    tree = on_disk(folder) if done.returncode == 0 else None
    shutil.rmtree(folder)
    return tree


def comparable(tree: Tree) -> Tree:
    """Without times: containerd sets those of directories at a layer's end, also of what has taken their place."""
    return {path: {**said, "mtime": None} for path, said in tree.items()}
