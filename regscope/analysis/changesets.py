"""What a stack of layers comes to (OCI image-spec, layer.md, Applying Changesets), as integers: no names, no bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from regscope.analysis.relation import Bools, Ints


@dataclass(frozen=True, eq=False)
class Stack:
    """The entries of layers upon one another, in the order in which they are applied.

    A whiteout, or an opaque mark, comes before all else of its layer, wherever it stands in the tar: it hides what
    lower layers brought, and nothing of its own. An entry takes the place of what was at its path, and, unless both are
    directories, of all that was below. One below a file or a symlink makes a directory in its place, as Docker and
    containerd do: a layer is applied without a look at where the links of lower ones lead.

    Attributes:
        parent: the directory above each node of a `PathTree`.
        layer: of each entry, the number of its layer; never falling.
        node: of each entry, the node of its path.
        is_directory: whether each entry is a directory.
        deletes: whether each entry is a whiteout of its node.
        clears: whether each entry is an opaque mark on its node.
        ignored: whether each entry is some other mark, that means nothing.
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
        rows, keys = self._by_node
        before = np.searchsorted(keys, self._key(self.link[links], links)) - 1
        target = np.where(before >= 0, rows[np.maximum(before, 0)] if len(rows) else -1, -1)
        there = (target >= 0) & (self.node[target] == self.link[links]) & ~self.is_directory[target]
        links, target = links[there], target[there]
        lasting = self.hidden_at[target] > self._time[links]
        linked[links[lasting]] = target[lasting]
        return linked

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
    def lasts(self) -> Bools:
        """Of each directory's entry, whether its directory is there in the end, with what is below it or not."""
        removed = self._removed(np.arange(len(self.parent)))
        return self.is_directory & self.is_entry & (self._time > removed[self.node])

    def part(self, rows: Ints) -> Stack:
        """Some of the entries alone."""
        columns = ("layer", "node", "is_directory", "deletes", "clears", "ignored", "link")
        return replace(self, **{column: getattr(self, column)[rows] for column in columns})

    @cached_property
    def implied(self) -> tuple[Ints, Ints]:
        """The nodes of directories that are there without an entry, each with the first one that needed it.

        Such a directory stays when what was in it goes.
        """
        is_missing = self._has_children & (self.parent >= 0)
        is_missing[self.node[self.visible]] = False
        missing = np.flatnonzero(is_missing)
        first = np.full(len(self.parent), len(self))
        removed = self._removed(missing)
        rows, node = self._entries, self.node[self._entries]
        while len(rows) and len(missing):
            node = self.parent[node]
            rows, node = rows[node >= 0], node[node >= 0]
            lasting = is_missing[node] & (self._time[rows] > removed[node])
            np.minimum.at(first, node[lasting], rows[lasting])
        found = missing[first[missing] < len(self)]
        return found, first[found]

    def _removed(self, nodes: Ints) -> Ints:
        """When the directories `nodes` were last deleted or replaced, or one above them; by node, -1 where never."""
        itself, below = np.full(len(self.parent), -1), np.full(len(self.parent), -1)
        ends = np.flatnonzero(self.deletes | (self.is_entry & ~self.is_directory))
        np.maximum.at(itself, self.node[ends], self._time[ends])
        ends = np.append(ends, np.flatnonzero(self.clears))
        np.maximum.at(below, self.node[ends], self._time[ends])
        removed, above = itself, self.parent[nodes]
        while len(nodes):
            nodes, above = nodes[above >= 0], above[above >= 0]
            removed[nodes] = np.maximum(removed[nodes], below[above])
            above = self.parent[above]
        return removed

    @cached_property
    def _has_children(self) -> Bools:
        has_children = np.zeros(len(self.parent), dtype=np.bool_)
        has_children[self.parent[self.parent >= 0]] = True
        return has_children

    @cached_property
    def _entries(self) -> Ints:
        return np.flatnonzero(self.is_entry)

    @cached_property
    def _is_mark(self) -> Bools:
        return self.deletes | self.clears

    @property
    def _never(self) -> int:
        return 2 * len(self) + 1

    @cached_property
    def _time(self) -> Ints:
        """When each entry r takes effect: at 2 r + 1; the marks of a layer that begins with r at 2 r."""
        first_of_layer = np.searchsorted(self.layer, self.layer)
        return np.where(self._is_mark, 2 * first_of_layer, 2 * np.arange(len(self)) + 1)

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
        at[again >= 0], by[again >= 0] = self._time[again[again >= 0]], again[again >= 0]
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
        replaces = self.is_entry & ~self.is_directory & self._has_children[self.node]
        whiteouts, hiding = np.flatnonzero(self.deletes), np.flatnonzero(self._is_mark | replaces)
        if not len(hiding):
            return
        events = _Events(self, self.node[whiteouts], whiteouts)
        below = _Events(self, self.node[hiding], hiding)
        rows, node = self._entries, self.node[self._entries]
        while len(rows):
            found_at, found_by = events.next(node, self._time[rows])
            sooner = found_at < at[rows]
            hidden = rows[sooner]
            at[hidden], by[hidden], overwritten[hidden] = found_at[sooner], found_by[sooner], False
            events, node = below, self.parent[node]
            rows, node = rows[node >= 0], node[node >= 0]

    def _give_way_to_directories(self, at: Ints, by: Ints, overwritten: Bools) -> None:
        """Files and symlinks in whose place a later entry, below them, needs a directory."""
        is_other = np.zeros(len(self.parent), dtype=np.bool_)
        others = np.flatnonzero(self.is_entry & ~self.is_directory)
        is_other[self.node[others]] = True
        rows, node = self._entries, self.parent[self.node[self._entries]]
        needing: list[Ints] = []
        needed: list[Ints] = []
        while len(rows):
            rows, node = rows[node >= 0], node[node >= 0]
            needing.append(rows[is_other[node]])
            needed.append(node[is_other[node]])
            node = self.parent[node]
        if not sum(map(len, needed)):
            return
        events = _Events(self, np.concatenate(needed), np.concatenate(needing))
        found_at, found_by = events.next(self.node[others], self._time[others])
        sooner = found_at < at[others]
        hidden = others[sooner]
        at[hidden], by[hidden], overwritten[hidden] = found_at[sooner], found_by[sooner], True


class _Events:
    """What entries do to nodes, by node and time."""

    def __init__(self, stack: Stack, node: Ints, rows: Ints) -> None:
        self._stack = stack
        time = stack._time[rows]
        keys = stack._key(node, time)
        order = np.argsort(keys, kind="stable")
        self._keys, self._node, self._rows, self._time = keys[order], node[order], rows[order], time[order]
        self._is_here = np.zeros(len(stack.parent), dtype=np.bool_)
        self._is_here[node] = True

    def next(self, node: Ints, time: Ints) -> tuple[Ints, Ints]:
        """For each node when the first event there after `time` is, and which entry it is of."""
        at, by = np.full(len(node), self._stack._never), np.full(len(node), -1)
        asked = np.flatnonzero(self._is_here[node])
        place = np.searchsorted(self._keys, self._stack._key(node[asked], time[asked]), side="right")
        asked, place = asked[place < len(self._keys)], place[place < len(self._keys)]
        here = self._node[place] == node[asked]
        at[asked[here]], by[asked[here]] = self._time[place[here]], self._rows[place[here]]
        return at, by
