"""Layers with millions of files, on disk: packages that many layers have, rebuilt layers, and layers that drifted."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from regscope.file_rows import COLUMNS, FilesOnDisk, FilesWriter
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import digest

PACKAGE, PACKAGES = 500, 10  # files of a package, packages of a layer
LAYER = PACKAGE * PACKAGES + PACKAGES  # and a directory for each
NOW = datetime(2026, 1, 1, tzinfo=UTC)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DIRECTORIES = ["site-packages", "dist-packages", "vendor/bundle", "node_modules/.store"]


def write_large(rows: int, folder: Path) -> None:
    """A snapshot with about so many file rows in `folder`; a quarter of the contents are distinct.

    Every twentieth layer is an earlier one with other times, and every twentieth has one package in ten replaced.
    """
    rng = np.random.default_rng(rows)
    n_layers = max(rows // LAYER, 20)
    n_packages = n_layers * PACKAGES // 4
    files = _Files(n_packages, rng)
    writer = FilesWriter(folder / "files")
    drawn: list[np.ndarray] = []
    names = [digest(f"layer {number}") for number in range(n_layers)]
    sizes = []
    for number, name in enumerate(names):
        packages = rng.choice(n_packages, PACKAGES, replace=False)
        if number % 20 in (18, 19):
            packages = drawn[int(rng.integers(number))].copy()
        if number % 20 == 19:
            packages[0] = rng.integers(n_packages)
        drawn.append(packages)
        layer = files.layer(name, np.unique(packages), number)
        sizes.append(pc.sum(layer["size"]).as_py())
        writer.add(layer)
    writer.close()
    snap = _snapshot(names, sizes, rng)
    dataclasses.replace(snap, files=FilesOnDisk(folder / "files")).save(folder)


class _Files:
    """The files of all packages: their paths, contents and sizes."""

    def __init__(self, n_packages: int, rng: np.random.Generator) -> None:
        n_files = n_packages * PACKAGE
        raw = rng.integers(0, 16, (n_files, 64), dtype=np.uint8)
        ends = np.arange(n_files + 1, dtype=np.int32) * 64
        self.sha256 = pa.StringArray.from_buffers(n_files, pa.py_buffer(ends), pa.py_buffer(_HEX[raw].tobytes()))
        self.size = np.rint(rng.lognormal(8, 2, n_files)).astype(np.int64) + 1
        place = np.array([f"usr/lib/python3.{package % 9 + 5}/{_DIRECTORIES[package % 4]}/package_{package}"
                          for package in range(n_packages)])  # fmt: skip
        inside = np.array([f"internal/{name % 23}/module_{name * 7919}.py" for name in range(PACKAGE)])
        self.place, self.inside = pa.array(place), pa.array(inside)

    def layer(self, name: str, packages: np.ndarray, number: int) -> pa.Table:
        """The rows of a layer: each package's directory, then its files."""
        entry = np.tile(np.arange(-1, PACKAGE), len(packages))
        package = np.repeat(packages, PACKAGE + 1)
        is_file = entry >= 0
        content = pa.array(np.where(is_file, package * PACKAGE + entry, 0), mask=~is_file)
        place = self.place.take(pa.array(package))
        inside = self.inside.take(pa.array(entry, mask=~is_file))
        n = len(entry)
        known = {
            "layer_digest": pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array([name])),
            "position": pa.array(np.arange(n)),
            "path": pc.coalesce(pc.binary_join_element_wise(place, inside, "/"), place),
            "kind": pa.DictionaryArray.from_arrays(is_file.astype(np.int32), pa.array(["directory", "file"])),
            "size": pa.array(np.where(is_file, self.size[package * PACKAGE + entry], 0)),
            "mode": pa.array(np.where(is_file, 0o644, 0o755)),
            "uid": pa.array(np.zeros(n, np.int64)),
            "gid": pa.array(np.zeros(n, np.int64)),
            "mtime": pa.array(np.full(n, number * 10**12), pa.timestamp("us", tz="UTC")),
            "sha256": self.sha256.take(content),
        }
        return pa.table({column: known.get(column, pa.nulls(n, pa.string())) for column in COLUMNS})


def _snapshot(names: list[str], sizes: list[int], rng: np.random.Generator) -> Snapshot:
    """Images of five layers: two of the few that are a base, and three of their own."""
    n_bases = max(len(names) // 20, 2)
    own = rng.permutation(len(names))
    manifests, layers, placements = [], [], []
    for number in range(len(names) // 3):
        base = int(rng.integers(n_bases))
        stack = [base, (base + 1) % n_bases, *own[3 * number : 3 * number + 3]]
        image = digest(f"image {number}")
        manifests.append((image, "m", "image", 500, None, None, None, "linux", "amd64", None, NOW, len(stack), 0))
        placements.append((f"team/{number % 50}", image, "tag", None, False, None))
        layers += [
            (image, position, names[layer], None, None, "l", sizes[layer] // 3, f"RUN make {layer % 100}")
            for position, layer in enumerate(stack)
        ]
    rows = {
        "manifests": manifests,
        "layers": layers,
        "placements": placements,
        "unpacked": [
            (name, digest(f"diff {name}"), "gzip", size // 3, size, LAYER)
            for name, size in zip(names, sizes, strict=True)
        ],
    }
    return Snapshot.from_rows(rows, location="large", taken_at=NOW, sees_untagged=True)
