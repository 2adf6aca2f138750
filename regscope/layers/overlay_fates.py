"""The entry that hides each entry of an overlay, and the time when it does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from regscope.arrays import Bools, Ints, marked
from regscope.layers.overlay_changes import Changes


class Fates(NamedTuple):
    """The entry that hid each entry, how, and when.

    Attributes:
        hidden_by: the first entry that hid each entry, or the new entry for its path in that layer; -1 if none hid it.
        overwritten: whether each entry was hidden by a replacement at its path; false if it, or its directory, was
            deleted.
        hidden_at: the time when each entry was hidden; `Changes.never` if none hid it.
    """

    hidden_by: Ints
    overwritten: Bools
    hidden_at: Ints


def fates(changes: Changes, deleted: Ints, marks: Ints) -> Fates:
    """The fate of each entry; `marks` remove the nodes `deleted` with everything below them.

    The five entries of `Changes`, whose fifth deletes node 2; the time 11 is `never`:

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
    """Record that the entries `rows` are hidden at the times `at` by the entries `by`, unless they were hidden earlier.

    Entry 1 was recorded as hidden at the time 9 by entry 4. Entry 3, which hides it at 7, replaces that; an entry that
    hides it at 11 would not, nor does the time `never`:

        rows  at     by | hidden_by  hidden_at
        0     11     5  | 5          11
        1     7      3  | 3          7
        2     never  -1 | -1         never
    """
    sooner = at < found.hidden_at[rows]
    hidden = rows[sooner]
    found.hidden_at[hidden], found.hidden_by[hidden], found.overwritten[hidden] = at[sooner], by[sooner], overwritten


def _again(changes: Changes) -> Ints:
    """For each entry, the next entry at its path; -1 if none. For the five entries of `Changes`: 3, -1, -1, -1, -1."""
    again = np.full(len(changes), -1)
    rows, _ = changes.by_node
    same = changes.node[rows[1:]] == changes.node[rows[:-1]]
    again[rows[:-1][same]] = rows[1:][same]
    return again


def _go_with_directories(changes: Changes, deleted: Ints, marks: Ints, found: Fates) -> None:
    """Hide the entries that whiteouts and opaque whiteouts hide, and those below a directory that is replaced.

    For each entry, the first event after it is searched at its own node and at all directories above it, up to the
    root. A layer with d and d/x/y, a second that deletes d/x, a third with an opaque whiteout on d, and a file d:

        entry  path              hidden_by  hidden_at  because
        0      d                 -1         never      a replacement at its own path is handled by `fates`
        1      d/x/y             2          5          node d/x is deleted; the opaque whiteout and the file are later
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
    if len(clears):  # entries of the same layer are kept
        below.append(changes.events(changes.node[clears], clears, changes.before_layer[clears]))
    events = here
    rows, node = changes.entries, changes.node[changes.entries]
    while len(rows):
        for kind in events:
            _hide(found, rows, *kind.next(node, changes.time[rows]), overwritten=False)
        events, node = below, changes.parent[node]
        rows, node = rows[node >= 0], node[node >= 0]


def _give_way_to_directories(changes: Changes, found: Fates) -> None:
    """Hide files that a directory replaces because a later entry is below their path.

    A file a, and in the next layer the entries a/b/c, a/b/d and e/f:

        entry  path   hidden_by  overwritten  because
        0      a      1          yes          a/b/c is the first entry below a, which is a directory from then on
        1      a/b/c  -1         no
        2      a/b/d  -1         no
        3      e/f    -1         no           no file is at e
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
