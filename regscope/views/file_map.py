"""The treemap of an image's files: a box for each large directory, a tile for each large file."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope import text
from regscope.arrays import Ints, marked
from regscope.views.image_files import SIZE, FileTree
from regscope.views.treemap import Box, Rect, Tile, Treemap, box, lay_out

COLOURS = 10
_LEAST_AREA = 25.0


def file_map(tree: FileTree, width: float, height: float, *, most_files: int, most_boxes: int) -> Treemap:
    """The treemap of the files of `tree`, laid out on a canvas.

    The largest directories are boxes; a file is in the box of its nearest directory that has one, so that each byte is
    drawn once.

    Args:
        tree: the tree of an image.
        width: the width of the canvas.
        height: the height of the canvas.
        most_files: the number of files with a tile each; the others of a box share one.
        most_boxes: the number of directories with a box.
    """
    total = int(tree.sums[tree.root, SIZE])
    if not total:
        return Treemap(width, height, 0, ())
    largest = np.lexsort((tree.depth, -tree.sums[:, SIZE]))[:most_boxes]
    owner = _nearest(tree, largest)[tree.folder]
    files = tree.entries.assign(owner=owner)[tree.entries["size"] > 0]
    drawn = files.nlargest(most_files, "size")
    drawn = drawn[drawn["size"] * (width * height / total) >= _LEAST_AREA]
    boxes = files.groupby("owner")["size"].agg(["sum", "size"]).sort_values("sum", ascending=False, kind="stable")
    rects = lay_out(boxes["sum"].tolist(), Rect(0.0, 0.0, width, height))
    by_owner = dict(list(drawn.groupby("owner")))
    drawn_boxes = [
        _box(rect, tree.paths[owner], size, count, by_owner.get(owner))
        for rect, (owner, size, count) in zip(rects, boxes.itertuples(), strict=True)
    ]
    return Treemap(width, height, total, tuple(drawn_boxes))


def _box(rect: Rect, path: str, size: int, count: int, files: pd.DataFrame | None) -> Box:
    above, _, name = path.rpartition("/")
    return box(rect, f"/{path}", size, _tiles(files), count, noun="file", short=f"…/{name}" if above else f"/{name}")


def _nearest(tree: FileTree, chosen: Ints) -> Ints:
    """For each directory the nearest of `chosen`, which is itself or above it; `chosen` includes the root."""
    is_chosen = marked(chosen, len(tree.parent))
    nearest: Ints = np.arange(len(tree.parent))
    while len(others := np.flatnonzero(~is_chosen[nearest])):
        nearest[others] = tree.parent[nearest[others]]
    return nearest


def _tiles(files: pd.DataFrame | None) -> list[Tile]:
    if files is None:
        return []
    columns = ["path", "size", "layer", "cause"]
    return [_tile(*row) for row in files[columns].itertuples(index=False)]


def _tile(path: str, size: int, layer: int, cause: object) -> Tile:
    name = text.plain(path.rpartition("/")[2], 120)
    is_wasted = isinstance(cause, str)
    title = f"/{text.plain(path, 400)}: {text.size(size)} from layer {layer}{f', {cause}' if is_wasted else ''}"
    style = f"c{layer % COLOURS}{' wasted' if is_wasted else ''}"
    return Tile(Rect(0, 0, 0, 0), int(size), title, (name, text.size(size)), style=style)
