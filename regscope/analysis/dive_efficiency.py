"""The figures of dive, computed by its algorithm (github.com/wagoodman/dive, filetree/efficiency.go at d6c6919)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.layer_stacks import layer_stacks
from regscope.analysis.names import image_names
from regscope.analysis.selection import Selection
from regscope.file_rows import FileRows
from regscope.schema import Column, table_of
from regscope.tables import Snapshot

_WHITEOUT = ".wh."
_DOUBLE_WHITEOUT = ".wh..wh.."

DIVE_EFFICIENCY = (
    Column("name", "str", "`repository:tag` of the image; absent if untagged"),
    Column("digest", "str", "digest of the image"),
    Column("efficiency", "float64", "sum of each path's smallest visit over the sum of all visits; 1 if that is 0"),
    Column(
        "wasted_bytes",
        "int64",
        "sum of all visits of paths that were visited more than once, including the file in the final file system",
        "bytes",
    ),
    Column(
        "user_wasted_percent",
        "float64",
        "wasted bytes over the size of all layers but the lowest, as a ratio; it may exceed 1, and is NaN or infinite "
        "if these layers have no bytes",
    ),
    Column("size", "int64", "size of all entries of all layers, uncompressed", "bytes"),
)


@documented(columns=DIVE_EFFICIENCY)
def dive_efficiency(snap: Snapshot, images: Selection | None = None) -> pd.DataFrame:
    """The figures of `dive --json` and `dive --ci`, for comparison with regscope's own `waste`.

    dive builds a tree of each layer and visits only its leaves, by path and regardless of content. Each visit has a
    size: for an entry, the size in its header; for a whiteout of a directory, the size of everything below it in lower
    layers; for a whiteout of a file, 0.

    Args:
        images: names, globs or digests, or a table that names images; by default all images whose layers were all read.

    Returns:
        One row for each image, by name:

        {columns}

    Properties of dive's algorithm that differ from `waste`:

    - deleting a directory mostly counts as 0 bytes, and files hidden by an opaque whiteout are not counted
    - a whiteout of a missing path ends the visit of its layer, and subtracts a byte from the sum of smallest visits
    - wasted bytes include the copy in the final file system
    - equal content at two paths is not detected, and directories that are not empty are not counted
    - a directory without an entry of its own does not count as a directory when a higher layer deletes it
    - of several entries for one path in one layer, the last is in the tree, but all count for the layer's size

    Raises:
        InvalidInput: `images` names no image, or an image with a layer that was not read (see `scan_files`).
    """
    layers = layer_stacks(snap, images)
    reading = FileRows(snap.files, ["path", "kind", "size", "whiteout"])
    known: dict[str, _Layer] = {}
    rows, names = [], image_names(snap)
    for digest, blobs in sorted(layers.groupby("digest")["blob_digest"].agg(tuple).items(), key=lambda item: item[1]):
        # In this order, images that share layers are adjacent.
        known = {blob: known.get(blob) or _Layer(reading.of(blob)) for blob in blobs}
        rows.append((names.get(digest), digest, *_figures([known[blob] for blob in blobs])))
    return table_of(DIVE_EFFICIENCY, rows).sort_values(["name", "digest"], ignore_index=True)


class _Node:
    """A node of a tree, like dive's FileNode."""

    __slots__ = ("children", "is_directory", "name", "size")

    def __init__(self, name: str, size: int = 0, is_directory: bool = False) -> None:
        self.name, self.size, self.is_directory = name, size, is_directory
        self.children: dict[str, _Node] = {}

    @property
    def is_whiteout(self) -> bool:
        return self.name.startswith(_WHITEOUT)


Path: TypeAlias = tuple[str, ...]


class _Tree:
    """A tree of paths, like dive's FileTree."""

    def __init__(self) -> None:
        self.root = _Node("")

    def add(self, path: Path, size: int, is_directory: bool) -> None:
        node = self.root
        for name in path:
            found = node.children.get(name)
            if found is None:
                if name.startswith(_DOUBLE_WHITEOUT):
                    return
                # Missing parents have no attributes, so dive does not treat them as directories.
                found = node.children[name] = _Node(name)
            node = found
        node.size, node.is_directory = size, is_directory

    def find(self, path: Path) -> _Node | None:
        node: _Node | None = self.root
        for name in path:
            node = node.children.get(name) if node else None
        return node

    def remove(self, path: Path) -> None:
        parent = self.find(path[:-1])
        if parent is not None and path:
            parent.children.pop(path[-1], None)

    def visits(self) -> Iterator[tuple[Path, _Node]]:
        """All nodes but the root, children first, by name; the path of a whiteout is the path that it hides."""
        below: list[tuple[Path, Iterator[_Node], _Node]] = [((), iter(_by_name(self.root)), self.root)]
        while below:
            path, children, node = below[-1]
            child = next(children, None)
            if child is not None:
                below.append(((*path, child.name), iter(_by_name(child)), child))
                continue
            below.pop()
            if path:
                yield (*path[:-1], path[-1].removeprefix(_WHITEOUT)), node

    def copy(self) -> _Tree:
        copied = _Tree()
        todo = [(self.root, copied.root)]
        while todo:
            old, new = todo.pop()
            for name, child in old.children.items():
                new.children[name] = _Node(name, child.size, child.is_directory)
                todo.append((child, new.children[name]))
        return copied

    def stack(self, upper: _Tree) -> None:
        for path, node in upper.visits():
            if node.is_whiteout:
                self.remove(path)
            else:
                self.add(path, node.size, node.is_directory)


def _by_name(node: _Node) -> list[_Node]:
    return [node.children[name] for name in sorted(node.children)]


class _Layer:
    """A layer's tree, its leaves in order, and the sum of the sizes in its tar headers."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.tree = _Tree()
        columns = [rows[name].astype(object).tolist() for name in ("path", "kind", "size", "whiteout")]
        self.size = 0
        for path, kind, size, whiteout in zip(*columns, strict=True):
            if path or whiteout == "opaque":
                self.size += size
                self.tree.add(_named(path, whiteout), size, kind == "directory")
        self.leaves = [(path, node) for path, node in self.tree.visits() if not node.children]
        self.has_whiteouts = any(node.is_whiteout for _, node in self.leaves)


def _named(path: str, whiteout: object) -> Path:
    """The name of an entry in the tar, from its `path` and `whiteout` in `files`."""
    parts = tuple(path.split("/")) if path else ()
    if whiteout == "opaque":
        return (*parts, ".wh..wh..opq")
    if whiteout == "delete":
        return (*parts[:-1], _WHITEOUT + parts[-1])
    return parts


class _Visited:
    """The visits of one path, like dive's EfficiencyData."""

    __slots__ = ("count", "cumulative", "smallest")

    def __init__(self) -> None:
        self.count, self.cumulative, self.smallest = 0, 0, -1

    def add(self, size: int) -> None:
        self.count += 1
        self.cumulative += size
        if self.smallest < 0 or size < self.smallest:
            self.smallest = size


def _figures(layers: list[_Layer]) -> tuple[float, int, float, int]:
    visited: dict[Path, _Visited] = {}
    last = max((number for number, layer in enumerate(layers) if layer.has_whiteouts), default=-1)
    # dive first stacks the lowest layer on itself, so that its own whiteouts take effect.
    below = layers[0].tree.copy() if last >= 0 else _Tree()
    for number, layer in enumerate(layers):
        _visit(layer, below, visited)
        if number < last:
            below.stack(layer.tree)
    smallest = sum(path.smallest for path in visited.values())
    total = sum(path.cumulative for path in visited.values())
    wasted = sum(path.cumulative for path in visited.values() if path.count > 1)
    upper = sum(layer.size for layer in layers[1:])
    ratio = wasted / upper if upper else float("inf" if wasted else "nan")
    return smallest / total if total else 1.0, wasted, ratio, sum(layer.size for layer in layers)


def _visit(layer: _Layer, below: _Tree, visited: dict[Path, _Visited]) -> None:
    for path, node in layer.leaves:
        size = node.size
        found = visited.setdefault(path, _Visited())
        if node.is_whiteout:
            hidden = below.find(path)
            if hidden is None:
                return
            size = _total(hidden) if hidden.is_directory else 0
        found.add(size)


def _total(node: _Node) -> int:
    total, todo = 0, [node]
    while todo:
        node = todo.pop()
        total += node.size
        todo += node.children.values()
    return total
