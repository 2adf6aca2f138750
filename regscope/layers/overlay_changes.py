"""The entries of layers in the order in which they are applied, as columns of integers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regscope.arrays import Bools, Ints, marked
from regscope.layers.overlay_events import Events


@dataclass(frozen=True, eq=False)
class Changes:
    """Paths are nodes of a tree, entries are positions; a mark (whiteout or opaque) is an entry as well.

    Two layers, the second of which deletes `d/x`, as five entries; the tree has the nodes 0 (the root), 1 (d), 2 (d/x)
    and 3 (d/y), so `parent` is [-1, 0, 1, 1]:

        entry  layer  path  node  is_directory  deletes  link | is_entry  time  folder
        0      0      d     1     yes           no       -1   | yes       1     0
        1      0      d/x   2     no            no       -1   | yes       3     1
        2      0      d/y   3     no            no       2    | yes       5     1
        3      1      d     1     yes           no       -1   | yes       7     0
        4      1      d/x   2     no            yes      -1   | no        9     1

    Attributes:
        parent: the directory above each node of a `PathTree`; -1 for the root.
        layer: of each entry, the number of its layer; never falling.
        node: of each entry, the node of the path where it lands; of a mark, that of what it is about.
        is_directory: whether each entry is a directory.
        deletes: whether each entry is a whiteout of its node.
        clears: whether each entry is an opaque mark on its node.
        ignored: whether each entry is something else that means nothing.
        link: of each hardlink the node that it links to; -1 where there is none, and for all else.
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
        """Whether each entry is one of the file system, and no mark."""
        return ~(self.deletes | self.clears | self.ignored)

    @cached_property
    def entries(self) -> Ints:
        """Those that are no marks."""
        return np.flatnonzero(self.is_entry)

    @cached_property
    def folder(self) -> Ints:
        """The node of the directory that each entry or mark is in."""
        return np.where(self.clears, self.node, self.parent[self.node])

    @cached_property
    def has_children(self) -> Bools:
        """Whether something is below each node."""
        return marked(self.parent[self.parent >= 0], len(self.parent))

    @cached_property
    def time(self) -> Ints:
        """When each entry takes effect."""
        return 2 * np.arange(len(self)) + 1

    @cached_property
    def before_layer(self) -> Ints:
        """A time between each entry's layer and the one below."""
        return 2 * np.searchsorted(self.layer, self.layer)

    @property
    def never(self) -> int:
        """A time after all others."""
        return 2 * len(self) + 1

    @cached_property
    def by_node(self) -> tuple[Ints, Ints]:
        """The entries that are no marks by node, then in order; and their keys."""
        rows = self.entries[np.argsort(self.node[self.entries], kind="stable")]
        return rows, self.key(self.node[rows], rows)

    def key(self, node: Ints, time: Ints) -> Ints:
        """A number for a node at a time, in the order of both."""
        return node * (self.never + 1) + time

    def events(self, node: Ints, rows: Ints, since: Ints | None = None) -> Events:
        """What entries do to nodes, by node and time.

        Args:
            since: the times after which an entry is not concerned; by default those of the events themselves.
        """
        return Events(node, rows, self.time[rows], since, len(self.parent), self.never)
