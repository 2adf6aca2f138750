"""The overlay: applying the entries of layers in order, with paths as nodes and entries as positions (integers).

The rules follow the OCI image-spec (layer.md, Applying Changesets), and containerd's `archive.Apply` where the spec
does not decide. Entries are applied one after another, in the order of the tars:

- An entry replaces the entry at its path and, unless both are directories, everything below that path. Of two
  directories, the later header counts.
- A whiteout `.wh.NAME` removes NAME and everything below it, whether of lower layers or of its own layer.
- An opaque whiteout `.wh..wh..opq` removes everything below its directory, except for what its own layer has unpacked
  there; a directory without an entry in that layer is removed with its content.
- AUFS metadata `.wh..wh.NAME` has no effect.
- Each entry and each whiteout creates the missing directories above it.
- A hardlink is another name of the file that is at its target at that time; from then on, the file has the owner, mode
  and time of the hardlink's header.
- Symlinks among the parents of an entry are followed, also those of lower layers: `regscope.layers.landing` computes
  the paths where entries are unpacked, and the paths here are those.

Entries that containerd refuses are applied as follows: an entry below a file replaces the file by a directory, a
whiteout below a file has no effect (umoci writes such whiteouts where a file replaces a directory), and a hardlink to a
missing target is a file of its own.
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
    """The result of applying the entries of layers one after another.

    For the five entries of `Changes`, whose third, d/y, is a hardlink to d/x:

        entry  path             | hidden_by  visible  inode
        0      d                | 3          no       0
        1      d/x              | 4          no       1
        2      d/y              | -1         yes      1
        3      d                | -1         yes      3
        4      whiteout of d/x  | -1         no       4
    """

    @cached_property
    def visible(self) -> Bools:
        """Whether each entry is in the final file system at its path."""
        return self.is_entry & (self.hidden_by < 0)

    @property
    def hidden_by(self) -> Ints:
        """The first entry that hid each entry, or the new entry for its path in that layer; -1 if none hid it."""
        return self._fates.hidden_by

    @property
    def overwritten(self) -> Bools:
        """Whether each entry was hidden by a replacement at its path; false if it was deleted, or its directory was."""
        return self._fates.overwritten

    @cached_property
    def linked(self) -> Ints:
        """For each hardlink, the entry at its target at that time; for other entries and missing targets, itself."""
        linked = np.arange(len(self))
        links = np.flatnonzero(self.link >= 0)
        target, there = self._file_at(self.link[links], links)
        linked[links[there]] = target[there]
        return linked

    def _file_at(self, node: Ints, rows: Ints) -> tuple[Ints, Bools]:
        """For each of `node`, the last entry there before the corresponding entry of `rows`; and whether it is a file
        (not a directory) that still exists at that time."""
        ordered, keys = self.by_node
        before = np.searchsorted(keys, self.key(node, rows)) - 1
        found = np.where(before >= 0, ordered[np.maximum(before, 0)] if len(ordered) else -1, -1)
        is_there = (found >= 0) & (self.node[found] == node) & ~self.is_directory[found]
        return found, is_there & (self.hidden_at[found] > self.time[rows])

    @cached_property
    def inode(self) -> Ints:
        """For each entry, the entry of the file that it names: for a hardlink, the file at its target; else itself.

        A hardlink whose target is missing names itself.
        """
        inode = self.linked
        while not np.array_equal(further := inode[inode], inode):
            inode = further
        return inode

    @cached_property
    def header(self) -> Ints:
        """For each entry, the entry whose header sets owner, mode and time: the file's last hardlink, else itself."""
        header = np.arange(len(self))
        links = np.flatnonzero(self.linked != header)
        np.maximum.at(header, self.inode[links], links)
        return header[self.inode]

    @cached_property
    def lasts(self) -> Bools:
        """Whether each entry is a directory that exists in the final file system, even if its content was removed."""
        removed = self._removed(np.arange(len(self.parent)))
        return self.is_directory & self.is_entry & (self.time > removed[self.node])

    def part(self, rows: Ints) -> Stack:
        """The overlay of the entries `rows` alone."""
        columns = ("layer", "node", "is_directory", "deletes", "clears", "ignored", "link")
        return replace(self, **{column: getattr(self, column)[rows] for column in columns})

    @cached_property
    def implied(self) -> tuple[Ints, Ints]:
        """The nodes of final directories without an entry of their own, and for each the first entry below it.

        Such a directory stays when its content is removed.
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
        """Whether each entry is a whiteout below a path that is a file at that time."""
        is_below = np.zeros(len(self), dtype=np.bool_)
        rows = np.flatnonzero(self.deletes | self.clears)
        node = self.folder[rows]
        while len(rows):
            rows, node = rows[node >= 0], node[node >= 0]
            is_below[rows[self._file_at(node, rows)[1]]] = True
            node = self.parent[node]
        return is_below

    def _removed(self, nodes: Ints) -> Ints:
        """By node, the time when a directory of `nodes` or one above it was last deleted or replaced; -1 for never."""
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
        """The nodes that whiteouts remove with everything below them, and the whiteouts; for opaque whiteouts, only
        nodes of their own layer."""
        deletes = np.flatnonzero(self.deletes)
        swept, marks = swept_by_marks(self)
        return np.append(self.node[deletes], swept), np.append(deletes, marks)

    @property
    def hidden_at(self) -> Ints:
        """The time when each entry was hidden, for comparison only: later times are larger numbers."""
        return self._fates.hidden_at

    @cached_property
    def _fates(self) -> Fates:
        return fates(self, *self._deleted)
