"""Applying layers one upon another, on integers alone: paths are nodes, entries are positions.

These are the rules, in one place (OCI image-spec, layer.md, Applying Changesets; where that is silent, what
containerd's `archive.Apply` does). Entries take effect one after another, in the order of the tars:

- An entry takes the place of what is at its path, and, unless both are directories, of all that is below it. Of two
  directories the later header counts.
- A whiteout `.wh.NAME` removes NAME and all below it, of lower layers and of its own.
- An opaque mark `.wh..wh..opq` removes what is below its directory, but for what its own layer has unpacked there: a
  directory that its layer has no entry for goes with all that is in it.
- `.wh..wh.NAME`, as AUFS wrote them, means nothing.
- Each of them, marks too, makes the directories above it where they are not there.
- A hardlink is another name of the file that is at its target then; owner, mode and time of the file are from then on
  those of the hardlink's header.
- A symlink on the way to an entry is followed, also one of a lower layer: `regscope.layers.landing` says where entries
  land, and the paths here are those.

What containerd refuses is taken as it can be: an entry below a file makes a directory in its place, a mark below a file
means nothing (umoci writes such marks where a file replaces a directory), and a hardlink to nothing stands for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from regscope.arrays import Bools, Ints
from regscope.layers.overlay_changes import Changes
from regscope.layers.overlay_fates import Fates, fates
from regscope.layers.overlay_marks import swept_by_marks


@dataclass(frozen=True, eq=False)
class Stack(Changes):
    """What entries come to when they are applied one after another.

    Of the five entries of `Changes`, of which the third, d/y, is a hardlink to d/x:

        entry  path             | hidden_by  visible  inode
        0      d                | 3          no       0
        1      d/x              | 4          no       1
        2      d/y              | -1         yes      1
        3      d                | -1         yes      3
        4      whiteout of d/x  | -1         no       4
    """

    @cached_property
    def visible(self) -> Bools:
        """Whether each entry is what the final file system has at its path."""
        return self.is_entry & (self.hidden_by < 0)

    @property
    def hidden_by(self) -> Ints:
        """The entry that hid each one first; -1 where nothing did. Of a layer that brings its path anew, that one."""
        return self._fates.hidden_by

    @property
    def overwritten(self) -> Bools:
        """Whether what hid each entry left something at its path; else that was deleted, or went with its directory."""
        return self._fates.overwritten

    @cached_property
    def linked(self) -> Ints:
        """The entry that each hardlink found at its target then; of all else, and without a target, itself."""
        linked = np.arange(len(self))
        links = np.flatnonzero(self.link >= 0)
        target, there = self._file_at(self.link[links], links)
        linked[links[there]] = target[there]
        return linked

    def _file_at(self, node: Ints, rows: Ints) -> tuple[Ints, Bools]:
        """The last entry at each of `node` before each of the entries `rows`, and whether it is no directory and is
        there then."""
        ordered, keys = self.by_node
        before = np.searchsorted(keys, self.key(node, rows)) - 1
        found = np.where(before >= 0, ordered[np.maximum(before, 0)] if len(ordered) else -1, -1)
        is_there = (found >= 0) & (self.node[found] == node) & ~self.is_directory[found]
        return found, is_there & (self.hidden_at[found] > self.time[rows])

    @cached_property
    def inode(self) -> Ints:
        """The entry that each one is a name of: of a hardlink the file that its target was then, else itself.

        A hardlink whose target is not there stands for itself.
        """
        inode = self.linked
        while not np.array_equal(further := inode[inode], inode):
            inode = further
        return inode

    @cached_property
    def header(self) -> Ints:
        """The entry whose header says owner, mode and time of each file: the last hardlink to it; else itself."""
        header = np.arange(len(self))
        links = np.flatnonzero(self.linked != header)
        np.maximum.at(header, self.inode[links], links)
        return header[self.inode]

    @cached_property
    def lasts(self) -> Bools:
        """Of each directory's entry, whether its directory is there in the end, with what is below it or not."""
        removed = self._removed(np.arange(len(self.parent)))
        return self.is_directory & self.is_entry & (self.time > removed[self.node])

    def part(self, rows: Ints) -> Stack:
        """Some of the entries alone."""
        columns = ("layer", "node", "is_directory", "deletes", "clears", "ignored", "link")
        return replace(self, **{column: getattr(self, column)[rows] for column in columns})

    @cached_property
    def implied(self) -> tuple[Ints, Ints]:
        """The nodes of directories that are there without an entry, each with the first one that needed it.

        Such a directory stays when what was in it goes.
        """
        is_missing = self.has_children.copy()
        is_missing[self.node[self.clears]] = True
        is_missing[self.parent < 0] = False
        is_missing[self.node[self.visible]] = False
        missing = np.flatnonzero(is_missing)
        first = np.full(len(self.parent), len(self))
        removed = self._removed(missing)
        rows = np.flatnonzero(~self._is_below_file)
        node = self.folder[rows]
        while len(rows) and len(missing):
            rows, node = rows[node >= 0], node[node >= 0]
            lasting = is_missing[node] & (self.time[rows] > removed[node])
            np.minimum.at(first, node[lasting], rows[lasting])
            node = self.parent[node]
        found = missing[first[missing] < len(self)]
        return found, first[found]

    @cached_property
    def _is_below_file(self) -> Bools:
        """Whether each entry is a mark below what is a file then."""
        is_below = np.zeros(len(self), dtype=np.bool_)
        rows = np.flatnonzero(self.deletes | self.clears)
        node = self.folder[rows]
        while len(rows):
            rows, node = rows[node >= 0], node[node >= 0]
            is_below[rows[self._file_at(node, rows)[1]]] = True
            node = self.parent[node]
        return is_below

    def _removed(self, nodes: Ints) -> Ints:
        """When the directories `nodes` were last deleted or replaced, or one above them; by node, -1 where never."""
        itself, below = np.full(len(self.parent), -1), np.full(len(self.parent), -1)
        deleted, marks = self._deleted
        ends = np.flatnonzero(self.is_entry & ~self.is_directory)
        for at in (itself, below):
            np.maximum.at(at, deleted, self.time[marks])
            np.maximum.at(at, self.node[ends], self.time[ends])
        np.maximum.at(below, self.node[self.clears], self.before_layer[self.clears])
        removed, above = itself, self.parent[nodes]
        while len(nodes):
            nodes, above = nodes[above >= 0], above[above >= 0]
            removed[nodes] = np.maximum(removed[nodes], below[above])
            above = self.parent[above]
        return removed

    @cached_property
    def _deleted(self) -> tuple[Ints, Ints]:
        """The nodes that marks remove, with all below them, and which marks; without what lower layers have below
        opaque marks."""
        deletes = np.flatnonzero(self.deletes)
        swept, marks = swept_by_marks(self)
        return np.append(self.node[deletes], swept), np.append(deletes, marks)

    @property
    def hidden_at(self) -> Ints:
        """When each entry was hidden, to be compared: later ones have larger numbers."""
        return self._fates.hidden_at

    @cached_property
    def _fates(self) -> Fates:
        return fates(self, *self._deleted)
