"""Layers with files drawn by hypothesis: few paths and contents, so that much of it is there more than once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st

from regscope import file_rows
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, REPOSITORIES, digest
from tests.lab.file_snapshots import (
    Entry,
    FilesRegistry,
    device,
    directory,
    file,
    hardlink,
    on_disk,
    opaque,
    symlink,
    whiteout,
)

PATHS = ["a", "b", "d/a", "d/b", "d/e/é"]


@dataclass
class DrawnFiles:
    """Layers by digest; `images`: what layers they have; `repositories`: where each image is."""

    made: FilesRegistry
    layers: dict[str, list[Entry]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    instructions: dict[str, str] = field(default_factory=dict)
    images: dict[str, set[str]] = field(default_factory=dict)
    repositories: dict[str, set[str]] = field(default_factory=dict)

    def standing(self, layer: str) -> dict[str, tuple[int, Entry]]:
        """What a layer leaves at each path, with its position: the last entry counts."""
        return {entry.path: (at, entry) for at, entry in enumerate(self.layers[layer]) if entry.whiteout is None}

    def holding(self, layer: str) -> list[tuple[str, Entry]]:
        """The regular files of a layer with at least a byte, in the order of the tar."""
        found = [(at, entry) for at, entry in self.standing(layer).values() if entry.kind == "file" and entry.size]
        return [(entry.path, entry) for _, entry in sorted(found, key=lambda pair: pair[0])]


@st.composite
def _entries(draw: st.DrawFn) -> Entry:
    path = draw(st.sampled_from(PATHS))
    content = draw(st.sampled_from(["", "x", "yy", "zzzz"]))
    more = {
        "uid": draw(st.sampled_from([0, 0, 0, 1])),
        "mtime": draw(st.sampled_from([NOW, NOW, NOW + timedelta(days=1), None])),
    }
    kinds = [
        *[file(path, content, **more)] * 6,
        directory(path, **more),
        symlink(path, draw(st.sampled_from(["a", "b"])), **more),
        hardlink(path, "a", **more),
        device(path, draw(st.sampled_from(["1:3", "1:5"]))),
        whiteout(path),
        opaque(path),
    ]
    return draw(st.sampled_from(kinds))


@st.composite
def layers_with_files(draw: st.DrawFn) -> DrawnFiles:
    """Layers that often hold the same, entries that are replaced in the same tar, layers that many images have."""
    drawn = DrawnFiles(FilesRegistry())
    for number in range(draw(st.integers(1, 6))):
        name = f"layer{number}"
        entries = draw(st.lists(_entries(), max_size=6))
        if drawn.layers and draw(st.booleans()):
            known = draw(st.sampled_from(sorted(drawn.layers)))
            entries = draw(st.permutations(drawn.layers[known])) + entries[:1] * draw(st.integers(0, 1))
        size = drawn.made.sizes[name] = draw(st.integers(1, 30))
        layer = drawn.made.layer(name, *entries, tar_size=draw(st.sampled_from([size, 3 * size])))
        drawn.layers[layer], drawn.sizes[layer] = entries, size
        drawn.instructions[layer] = draw(st.sampled_from(["RUN a", "RUN b"]))
    names = {digest(f"layer{number}"): f"layer{number}" for number in range(len(drawn.layers))}
    for number in range(draw(st.integers(0, 4))):
        layers = draw(st.lists(st.sampled_from(sorted(drawn.layers)), max_size=4))
        repositories = draw(st.sets(st.sampled_from(REPOSITORIES), min_size=1))
        tags = [f"{repository}:{number}" for repository in sorted(repositories)]
        image = drawn.made.image(
            f"image{number}", [f"{names[layer]}={drawn.instructions[layer]}" for layer in layers], *tags
        )
        drawn.images[image], drawn.repositories[image] = set(layers), repositories
    return drawn


@contextmanager
def both_ways(snap: Snapshot) -> Iterator[list[Snapshot]]:
    """The snapshot with its files in memory, and on disk in parts of a few rows."""
    with tempfile.TemporaryDirectory() as folder, patch.object(file_rows, "ROWS_AT_ONCE", 3):
        yield [snap, on_disk(snap, Path(folder) / "files")]
