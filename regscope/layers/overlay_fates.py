"""What hides each entry of layers that lie upon one another, and when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from regscope.arrays import Bools, Ints, marked
from regscope.layers.overlay_changes import Changes


class Fates(NamedTuple):
    """What became of each entry.

    Attributes:
        hidden_by: the entry that hid each one first; -1 where nothing did. Of a layer that brings its path anew, that
            one.
        overwritten: whether what hid each entry left something at its path; else that was deleted, or went with its
            directory.
        hidden_at: when each entry was hidden; `Changes.never` where nothing hid it.
    """

    hidden_by: Ints
    overwritten: Bools
    hidden_at: Ints


def fates(changes: Changes, deleted: Ints, marks: Ints) -> Fates:
    """What became of each entry, where `marks` remove the nodes `deleted` with all below them.

    The five entries of `Changes`, whose fifth deletes node 2; nothing happens after the time 11:

        entry  path              hidden_by  overwritten  hidden_at
        0      d                 3          yes          7
        1      d/x               4          no           9
        2      d/y               -1         no           11
        3      d                 -1         no           11
        4      whiteout of d/x   -1         no           11
    """
    found = Fates(
        np.full(len(changes), -1), np.zeros(len(changes), dtype=np.bool_), np.full(len(changes), changes.never)
    )
    again = _again(changes)
    comes_again = np.flatnonzero(again >= 0)
    _hide(found, comes_again, changes.time[again[comes_again]], again[comes_again], overwritten=True)
    _go_with_directories(changes, deleted, marks, found)
    _give_way_to_directories(changes, found)
    anew = (again >= 0) & (found.hidden_by >= 0) & (changes.layer[again] == changes.layer[found.hidden_by])
    found.hidden_by[anew], found.overwritten[anew] = again[anew], True
    return found


def _hide(found: Fates, rows: Ints, at: Ints, by: Ints, overwritten: bool) -> None:
    """Note what happens to entries, at which time and by which entry, where nothing happened to them before.

    Entry 1 is hidden already at the time 9 by entry 4; what entry 3 does to it at 7 counts, what entry 5 does at 11
    does not, nor does what never happens:

        rows  at     by | hidden_by  hidden_at
        0     11     5  | 5          11
        1     7      3  | 3          7
        2     never  -1 | -1         never
    """
    sooner = at < found.hidden_at[rows]
    hidden = rows[sooner]
    found.hidden_at[hidden], found.hidden_by[hidden], found.overwritten[hidden] = at[sooner], by[sooner], overwritten


def _again(changes: Changes) -> Ints:
    """The next entry at the path of each one; -1 where there is none. Of the five of `Changes`: 3, -1, -1, -1, -1."""
    again = np.full(len(changes), -1)
    rows, _ = changes.by_node
    same = changes.node[rows[1:]] == changes.node[rows[:-1]]
    again[rows[:-1][same]] = rows[1:][same]
    return again


def _go_with_directories(changes: Changes, deleted: Ints, marks: Ints, found: Fates) -> None:
    """Hide what whiteouts and opaque marks hide, and what is below a directory that something else replaces.

    Each entry looks at its own node, and then from directory to directory up to the root, for the first event after
    itself. A layer with d and d/x/y, a second one that deletes d/x, a third with an opaque mark on d, and a file d:

        entry  path              hidden_by  hidden_at  because
        0      d                 -1         never      the file at its own path is seen to by `fates`
        1      d/x/y             2          5          node d/x is deleted then; the opaque mark and the file are later
        2      whiteout of d/x   -1         never
        3      opaque mark on d  -1         never
        4      d, a file         -1         never
    """
    replacing = np.flatnonzero(changes.is_entry & ~changes.is_directory & changes.has_children[changes.node])
    clears = np.flatnonzero(changes.clears)
    if not len(marks) + len(replacing) + len(clears):
        return
    here = [changes.events(deleted, marks)]
    below = [changes.events(np.append(deleted, changes.node[replacing]), np.append(marks, replacing))]
    if len(clears):  # the entries of its own layer stay
        below.append(changes.events(changes.node[clears], clears, changes.before_layer[clears]))
    events = here
    rows, node = changes.entries, changes.node[changes.entries]
    while len(rows):
        for kind in events:
            _hide(found, rows, *kind.next(node, changes.time[rows]), overwritten=False)
        events, node = below, changes.parent[node]
        rows, node = rows[node >= 0], node[node >= 0]


def _give_way_to_directories(changes: Changes, found: Fates) -> None:
    """Hide files in whose place a later entry, below them, needs a directory.

    A file a, and in the next layer the entries a/b/c, a/b/d and e/f:

        entry  path   hidden_by  overwritten  because
        0      a      1          yes          a/b/c is the first entry below it, so that a is a directory from then on
        1      a/b/c  -1         no
        2      a/b/d  -1         no
        3      e/f    -1         no           nothing but a directory is at e
    """
    others = np.flatnonzero(changes.is_entry & ~changes.is_directory)
    is_other = marked(changes.node[others], len(changes.parent))
    rows, node = changes.entries, changes.folder[changes.entries]
    needing: list[Ints] = []
    needed: list[Ints] = []
    while len(rows):
        rows, node = rows[node >= 0], node[node >= 0]
        needing.append(rows[is_other[node]])
        needed.append(node[is_other[node]])
        node = changes.parent[node]
    if not sum(map(len, needed)):
        return
    events = changes.events(np.concatenate(needed), np.concatenate(needing))
    _hide(found, others, *events.next(changes.node[others], changes.time[others]), overwritten=True)
