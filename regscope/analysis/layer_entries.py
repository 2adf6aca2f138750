"""The entries of layers as columns of numbers, read once for all images that they are part of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regscope.analysis.changesets import Stack
from regscope.analysis.columns import arrow_text
from regscope.analysis.path_tree import PathTree
from regscope.analysis.relation import Bools, Ints
from regscope.file_rows import FileRows
from regscope.tables import Snapshot

KINDS = ("file", "directory", "symlink", "hardlink", "character device", "block device", "fifo")
_WHITEOUTS = ("delete", "opaque", "ignored")
_FIXED = {"kind": KINDS, "whiteout": _WHITEOUTS}
_NEEDED = ("path", "kind", "link_target", "whiteout")


@dataclass(frozen=True, eq=False)
class Stacked:
    """The entries of one image.

    Attributes:
        rows: the row in `LayerEntries.frame` of each entry, in the order in which they are applied.
        layer: the place in the image of each one's layer.
        paths: the node in `LayerEntries.tree` of each node of `stack`.
        stack: what hides what.
    """

    rows: Ints
    layer: Ints
    paths: Ints
    stack: Stack


class LayerEntries:
    """The rows of `files` of some layers.

    Args:
        layers: distinct ones.
        columns: those that are wanted in `frame`.

    Attributes:
        frame: a row for each entry, layer by layer.
        tree: their paths.
        is_file: whether each entry is a regular file, and no mark.
    """

    def __init__(self, snap: Snapshot, layers: Sequence[str], columns: Sequence[str]) -> None:
        reading = FileRows(snap.files, list(dict.fromkeys((*_NEEDED, *columns))))
        lengths = [reading.length(layer) for layer in layers]
        ends = np.cumsum(lengths, dtype=np.int64)
        self._spans = {
            layer: np.arange(end - length, end) for layer, length, end in zip(layers, lengths, ends, strict=True)
        }
        frame = _plain(reading.of(*layers)).reset_index(drop=True)
        self.frame = frame[list(columns)]
        self.tree = PathTree(arrow_text(frame["path"]))
        kind, whiteout = (frame[name].cat.codes.to_numpy() for name in ("kind", "whiteout"))
        self.is_file: Bools = (kind == KINDS.index("file")) & (whiteout < 0)
        self._is_directory: Bools = kind == KINDS.index("directory")
        self._whiteout = whiteout
        is_link = kind == KINDS.index("hardlink")
        self._link: Ints = np.full(len(frame), -1)
        self._link[is_link] = self.tree.find(arrow_text(frame.loc[is_link, "link_target"]))

    def stacked(self, layers: Sequence[str]) -> Stacked:
        """The layers of an image upon one another, lowest first; one may be there more than once."""
        spans = [self._spans[layer] for layer in layers]
        rows = np.concatenate([np.array([], dtype=np.int64), *spans])
        layer = np.repeat(np.arange(len(spans)), [len(span) for span in spans])
        paths, parent = self.tree.part(self.tree.node[rows])
        link = self._link[rows]
        target = np.searchsorted(paths, link)
        is_there = (link >= 0) & (np.append(paths, -1)[target] == link)
        deletes, clears, ignored = (self._whiteout[rows] == code for code in range(len(_WHITEOUTS)))
        stack = Stack(
            parent=parent,
            layer=layer,
            node=np.searchsorted(paths, self.tree.node[rows]),
            is_directory=self._is_directory[rows],
            deletes=deletes,
            clears=clears,
            ignored=ignored,
            link=np.where(is_there, target, -1),
        )
        return Stacked(rows, layer, paths, stack)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the same categories whatever layer it is of, and text for those that are open."""
    categories = [str(name) for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    open_ones = [name for name in categories if name not in _FIXED]
    # astype would leave the same categories in another order as they are.
    fixed = {name: frame[name].cat.set_categories(pd.Index(values, dtype="str")) for name, values in _FIXED.items()}
    return frame.assign(**fixed).astype(dict.fromkeys(open_ones, "str"))
