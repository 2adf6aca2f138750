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
from regscope.layers.overlay_events import Events
from regscope.layers.overlay_marks import swept_by_marks


@dataclass(frozen=True, eq=False)
class Stack:
    """The entries of layers upon one another, in the order in which they are applied.

    Two layers, the second of which deletes `d/x`, as five entries; the tree has the nodes 0 (the root), 1 (d), 2 (d/x)
    and 3 (d/y):

        entry  layer  path   node  is_directory  deletes | hidden_by  visible  inode
        0      0      d      1     yes           no      | 3          no       0
        1      0      d/x    2     no            no      | 4          no       1
        2      0      d/y    3     no, link 2    no      | -1         yes      1
        3      1      d      1     yes           no      | -1         yes      3
        4      1      d/x    2     no            yes     | -1         no       4

    with `parent` = [-1, 0, 1, 1] and `link` = [-1, -1, 2, -1, -1]: d/y is a name of the file that was at d/x.

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
    def visible(self) -> Bools:
        """Whether each entry is what the final file system has at its path."""
        return self.is_entry & (self.hidden_by < 0)

    @cached_property
    def is_entry(self) -> Bools:
        """Whether each entry is one of the file system, and no mark."""
        return ~(self.deletes | self.clears | self.ignored)

    @property
    def hidden_by(self) -> Ints:
        """The entry that hid each one first; -1 where nothing did. Of a layer that brings its path anew, that one."""
        return self._fates[0]

    @property
    def overwritten(self) -> Bools:
        """Whether what hid each entry left something at its path; else that was deleted, or went with its directory."""
        return self._fates[1]

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
        ordered, keys = self._by_node
        before = np.searchsorted(keys, self._key(node, rows)) - 1
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
        is_missing = self._has_children.copy()
        is_missing[self.node[self.clears]] = True
        is_missing[self.parent < 0] = False
        is_missing[self.node[self.visible]] = False
        missing = np.flatnonzero(is_missing)
        first = np.full(len(self.parent), len(self))
        removed = self._removed(missing)
        rows = np.flatnonzero(~self._is_below_file)
        node = self._folder[rows]
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
        node = self._folder[rows]
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
        np.maximum.at(below, self.node[self.clears], self._before_layer[self.clears])
        removed, above = itself, self.parent[nodes]
        while len(nodes):
            nodes, above = nodes[above >= 0], above[above >= 0]
            removed[nodes] = np.maximum(removed[nodes], below[above])
            above = self.parent[above]
        return removed

    def events(self, node: Ints, rows: Ints, since: Ints | None = None) -> Events:
        """What entries do to nodes, by node and time.

        Args:
            since: the times after which an entry is not concerned; by default those of the events themselves.
        """
        return Events(node, rows, self.time[rows], since, len(self.parent), self._never)

    @cached_property
    def _folder(self) -> Ints:
        """The node of the directory that each entry or mark is in."""
        return np.where(self.clears, self.node, self.parent[self.node])

    @cached_property
    def _has_children(self) -> Bools:
        has_children = np.zeros(len(self.parent), dtype=np.bool_)
        has_children[self.parent[self.parent >= 0]] = True
        return has_children

    @cached_property
    def _entries(self) -> Ints:
        return np.flatnonzero(self.is_entry)

    @property
    def _never(self) -> int:
        return 2 * len(self) + 1

    @cached_property
    def time(self) -> Ints:
        """When each entry takes effect."""
        return 2 * np.arange(len(self)) + 1

    @cached_property
    def _before_layer(self) -> Ints:
        """A time between each entry's layer and the one below."""
        return 2 * np.searchsorted(self.layer, self.layer)

    @cached_property
    def _deleted(self) -> tuple[Ints, Ints]:
        """The nodes that marks remove, with all below them, and which marks; without what lower layers have below
        opaque marks."""
        deletes = np.flatnonzero(self.deletes)
        swept, marks = swept_by_marks(self)
        return np.append(self.node[deletes], swept), np.append(deletes, marks)

    @cached_property
    def _by_node(self) -> tuple[Ints, Ints]:
        """The entries that are no marks by node, then in order; and their keys."""
        rows = self._entries[np.argsort(self.node[self._entries], kind="stable")]
        return rows, self._key(self.node[rows], rows)

    def _key(self, node: Ints, time: Ints) -> Ints:
        return node * (self._never + 1) + time

    @property
    def hidden_at(self) -> Ints:
        """When each entry was hidden, to be compared: later ones have larger numbers."""
        return self._fates[2]

    @cached_property
    def _fates(self) -> tuple[Ints, Bools, Ints]:
        at, by = np.full(len(self), self._never), np.full(len(self), -1)
        again = self._again()
        at[again >= 0], by[again >= 0] = self.time[again[again >= 0]], again[again >= 0]
        overwritten = again >= 0
        self._go_with_directories(at, by, overwritten)
        self._give_way_to_directories(at, by, overwritten)
        anew = (again >= 0) & (by >= 0) & (self.layer[again] == self.layer[by])
        by[anew], overwritten[anew] = again[anew], True
        return by, overwritten, at

    def _again(self) -> Ints:
        """The next entry at the path of each one; -1 where there is none."""
        again = np.full(len(self), -1)
        rows, _ = self._by_node
        same = self.node[rows[1:]] == self.node[rows[:-1]]
        again[rows[:-1][same]] = rows[1:][same]
        return again

    def _go_with_directories(self, at: Ints, by: Ints, overwritten: Bools) -> None:
        """What whiteouts and opaque marks hide, and what is below a directory that something else replaces."""
        deleted, marks = self._deleted
        replacing = np.flatnonzero(self.is_entry & ~self.is_directory & self._has_children[self.node])
        clears = np.flatnonzero(self.clears)
        if not len(marks) + len(replacing) + len(clears):
            return
        here = [self.events(deleted, marks)]
        below = [self.events(np.append(deleted, self.node[replacing]), np.append(marks, replacing))]
        if len(clears):  # the entries of its own layer stay
            below.append(self.events(self.node[clears], clears, self._before_layer[clears]))
        events = here
        rows, node = self._entries, self.node[self._entries]
        while len(rows):
            for kind in events:
                found_at, found_by = kind.next(node, self.time[rows])
                sooner = found_at < at[rows]
                hidden = rows[sooner]
                at[hidden], by[hidden], overwritten[hidden] = found_at[sooner], found_by[sooner], False
            events, node = below, self.parent[node]
            rows, node = rows[node >= 0], node[node >= 0]

    def _give_way_to_directories(self, at: Ints, by: Ints, overwritten: Bools) -> None:
        """Files in whose place a later entry, below them, needs a directory."""
        is_other = np.zeros(len(self.parent), dtype=np.bool_)
        others = np.flatnonzero(self.is_entry & ~self.is_directory)
        is_other[self.node[others]] = True
        rows, node = self._entries, self._folder[self._entries]
        needing: list[Ints] = []
        needed: list[Ints] = []
        while len(rows):
            rows, node = rows[node >= 0], node[node >= 0]
            needing.append(rows[is_other[node]])
            needed.append(node[is_other[node]])
            node = self.parent[node]
        if not sum(map(len, needed)):
            return
        events = self.events(np.concatenate(needed), np.concatenate(needing))
        found_at, found_by = events.next(self.node[others], self.time[others])
        sooner = found_at < at[others]
        hidden = others[sooner]
        at[hidden], by[hidden], overwritten[hidden] = found_at[sooner], found_by[sooner], True
