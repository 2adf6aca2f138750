"""Drawn stacks of odd layers, and what regscope makes of them: to containerd it is the file system that they were.

DRAWN_STACKS is how many stacks are drawn that containerd takes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

import pytest

import regscope as rs
from regscope.analysis.final_tree import final_files
from regscope.stores.layout_writer import LayoutWriter
from regscope.tables import Snapshot
from tests.analysis.test_final_tree import HAND_MADE, REFUSED_BY_CONTAINERD, in_table, on_disk
from tests.lab import layered
from tests.lab.odd_layers import Drawn
from tests.layers.containerd import Tree, applied, comparable

DRAWN = int(os.environ.get("DRAWN_STACKS", "20"))

pytestmark = pytest.mark.timeout(120 + 10 * DRAWN)


class Stacks:
    """Stacks in a layout, each with what containerd makes of it."""

    def __init__(self, folder: Path, trees: dict[str, Tree]) -> None:
        self.folder, self.trees = folder, trees
        self.location = f"oci:{folder}"

    def changed(self, folder: Path, change: Callable[[str, str, str], None]) -> Iterator[tuple[str, Tree, Tree | None]]:
        """By name: what containerd makes of a stack, and what of the changed one."""
        target = folder / "target"
        for name, tree in self.trees.items():
            change(self.location, name, f"oci:{target}")
            yield name, tree, applied(target, "drawn:changed", folder / "tree")


def accepted(folder: Path) -> Iterator[tuple[int, Tree]]:
    for seed in count():
        with LayoutWriter(folder / str(seed)) as writer:
            Drawn(seed).write(writer, "drawn:one", seed)
        if (tree := applied(folder / str(seed), "drawn:one", folder / "tree")) is not None:
            yield seed, tree


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    folder = tmp_path_factory.mktemp("drawn")
    found = dict(islice(accepted(folder / "tried"), DRAWN))
    with LayoutWriter(folder / "layout") as writer:
        for seed in found:
            Drawn(seed).write(writer, f"drawn:{seed}", seed)
    return Stacks(folder / "layout", {f"drawn:{seed}": tree for seed, tree in found.items()})


@pytest.fixture(scope="module")
def snap(stacks: Stacks) -> Snapshot:
    return layered.read(stacks.folder)


def assert_same(name: str, found: Tree | None, tree: Tree) -> None:
    assert found is not None, f"containerd refuses what was {name}"
    assert comparable(found) == comparable(tree), name


def test_the_final_files_are_those_that_containerd_unpacks(stacks: Stacks, snap: Snapshot) -> None:
    for name, tree in stacks.trees.items():
        assert_same(name, in_table(final_files(snap, name)), tree)


def slim(location: str, name: str, target: str) -> None:
    rs.slim(location, name, "changed").apply(target, dry_run=False, overwrite=True)


def flatten(location: str, name: str, target: str) -> None:
    rs.Image.read(location, name).flatten().write(target, "drawn:changed", overwrite=True)


def recompress(location: str, name: str, target: str) -> None:
    rs.recompress(location, name, "changed").apply(target, dry_run=False, overwrite=True)


@pytest.mark.parametrize("change", [slim, flatten, recompress])
def test_changed_they_unpack_to_the_same(
    change: Callable[[str, str, str], None], stacks: Stacks, tmp_path: Path
) -> None:
    for name, tree, found in stacks.changed(tmp_path, change):
        assert_same(name, found, tree)


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshot]:
    folder = tmp_path_factory.mktemp("hand made") / "layout"
    layered.write(folder, HAND_MADE)
    return folder, layered.read(folder)


@pytest.mark.parametrize("corner", [corner for corner in HAND_MADE if corner not in REFUSED_BY_CONTAINERD])
def test_hand_made_ones_do_too(corner: str, hand_made: tuple[Path, Snapshot], tmp_path: Path) -> None:
    folder, snap = hand_made
    name = layered.named(HAND_MADE)[corner]
    tree = applied(folder, name, tmp_path / "before")
    assert tree is not None
    assert_same(name, in_table(final_files(snap, name)), tree)
    for change, changed in ((slim, "image:changed"), (flatten, "drawn:changed")):
        change(f"oci:{folder}", name, f"oci:{tmp_path / 'target'}")
        assert_same(name, applied(tmp_path / "target", changed, tmp_path / "after"), tree)


def by_umoci(image: str, folder: Path) -> Tree | None:
    """What umoci makes of an image; None where it refuses to."""
    done = subprocess.run(["umoci", "raw", "unpack", "--image", image, str(folder)], capture_output=True, timeout=60)
    tree = on_disk(folder) if done.returncode == 0 else None
    shutil.rmtree(folder, ignore_errors=True)
    return tree


def to_gzip(location: str, name: str, target: str) -> None:
    rs.recompress(location, name, "changed", compression="gzip").apply(target, dry_run=False, overwrite=True)


def test_umoci_agrees_where_it_agrees_with_containerd(stacks: Stacks, tmp_path: Path) -> None:
    """umoci knows no zstd: it gets the stacks in gzip."""
    agreed = 0
    for name, tree in stacks.trees.items():
        to_gzip(stacks.location, name, f"oci:{tmp_path / 'gzip'}")
        before = by_umoci(f"{tmp_path / 'gzip'}:drawn:changed", tmp_path / "tree")
        if before is None or comparable(before) != comparable(tree):
            continue
        agreed += 1
        for change in (slim, flatten):
            change(f"oci:{tmp_path / 'gzip'}", "drawn:changed", f"oci:{tmp_path / 'target'}")
            assert_same(name, by_umoci(f"{tmp_path / 'target'}:drawn:changed", tmp_path / "tree"), tree)
    assert agreed > DRAWN // 4
