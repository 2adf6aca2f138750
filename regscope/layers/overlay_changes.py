"""The entries of layers as columns of integers, in the order in which they are applied."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regscope.arrays import Bools, Ints, marked
from regscope.layers.overlay_events import Events


@dataclass(frozen=True, eq=False)
class Changes:
    """The entries of layers; paths are nodes of a tree. A mark is a whiteout or opaque whiteout; marks are entries too.

    Two layers as five entries; the second layer deletes `d/x`. The tree has the nodes 0 (the root), 1 (d), 2 (d/x)
    and 3 (d/y), so `parent` is [-1, 0, 1, 1]:

        entry  layer  path  node  is_directory  deletes  link | is_entry  time  folder
        0      0      d     1     yes           no       -1   | yes       1     0
        1      0      d/x   2     no            no       -1   | yes       3     1
        2      0      d/y   3     no            no       2    | yes       5     1
        3      1      d     1     yes           no       -1   | yes       7     0
        4      1      d/x   2     no            yes      -1   | no        9     1

    Attributes:
        parent: for each node of a `PathTree`, the directory above it; -1 for the root.
        layer: for each entry, the number of its layer, in ascending order.
        node: for each entry, the node of the path where it is unpacked; for a mark, the node that it affects.
        is_directory: whether each entry is a directory.
        deletes: whether each entry is a whiteout of its node.
        clears: whether each entry is an opaque whiteout on its node.
        ignored: whether each entry is a mark without effect.
        link: for each hardlink, the node of its target; -1 if it has none, and for other entries.
    """

    parent: Ints
    layer: Ints
    node: Ints
    is_directory: Bools
    deletes: Bools
    clears: Bools
    ignored: Bools
    link: Ints

    def __len__(self) -> int:
        return len(self.node)

    @cached_property
    def is_entry(self) -> Bools:
        """Whether each entry is a file system entry, not a mark."""
        return ~(self.deletes | self.clears | self.ignored)

    @cached_property
    def entries(self) -> Ints:
        """The positions of the entries that are not marks."""
        return np.flatnonzero(self.is_entry)

    @cached_property
    def folder(self) -> Ints:
        """For each entry or mark, the node of the directory that contains it."""
        return np.where(self.clears, self.node, self.parent[self.node])

    @cached_property
    def has_children(self) -> Bools:
        """Whether each node has nodes below it."""
        return marked(self.parent[self.parent >= 0], len(self.parent))

    @cached_property
    def time(self) -> Ints:
        """The time at which each entry takes effect."""
        return 2 * np.arange(len(self)) + 1

    @cached_property
    def before_layer(self) -> Ints:
        """For each entry, a time after all lower layers and before its own layer."""
        return 2 * np.searchsorted(self.layer, self.layer)

    @property
    def never(self) -> int:
        """A time after all others."""
        return 2 * len(self) + 1

    @cached_property
    def by_node(self) -> tuple[Ints, Ints]:
        """The entries that are not marks, sorted by node and then by position; and their keys."""
        rows = self.entries[np.argsort(self.node[self.entries], kind="stable")]
        return rows, self.key(self.node[rows], rows)

    def key(self, node: Ints, time: Ints) -> Ints:
        """A number for each pair of node and time, in the order of node and then time."""
        return node * (self.never + 1) + time

    def events(self, node: Ints, rows: Ints, since: Ints | None = None) -> Events:
        """The events at the nodes `node` by the entries `rows`.

        Args:
            since: for each event, the time from which on entries are not affected by it; by default its own time.
        """
        return Events(node, rows, self.time[rows], since, len(self.parent), self.never)
