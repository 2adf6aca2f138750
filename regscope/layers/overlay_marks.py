"""What opaque marks remove of their own layer."""

from __future__ import annotations

import numpy as np

from regscope.arrays import NONE, Ints, marked
from regscope.layers.overlay_changes import Changes


def swept_by_marks(changes: Changes) -> tuple[Ints, Ints]:
    """The directories that opaque marks remove though their own layer made them, and the marks.

    A layer with an entry `d/e/f`, none of `d/e`, and after them an opaque mark on `d`: `d/e` goes with what is in it.
    Most marks stand before all that their layer has there, and then there are none.
    """
    clears = np.flatnonzero(changes.clears)
    if not len(clears):
        return NONE, NONE
    last = np.full(int(changes.layer[-1]) + 1, -1)
    last[changes.layer[clears]] = clears
    rows = np.flatnonzero(np.arange(len(changes)) < last[changes.layer])
    folder = changes.folder[rows]
    rows, folder = _first_between_marks(changes, rows[folder >= 0], folder[folder >= 0])
    marks = changes.events(changes.node[clears], clears)
    concerned: set[tuple[int, int, int]] = set()
    node = folder
    while len(rows):
        _, mark = marks.next(node, changes.time[rows])
        own = (mark >= 0) & (changes.layer[mark] == changes.layer[rows])
        concerned.update(zip(folder[own].tolist(), node[own].tolist(), mark[own].tolist(), strict=True))
        node = changes.parent[node]
        rows, folder, node = rows[node >= 0], folder[node >= 0], node[node >= 0]
    swept = np.array(sorted(_not_unpacked(changes, concerned)), dtype=np.int64).reshape(-1, 2)
    return swept[:, 0], swept[:, 1]


def _first_between_marks(changes: Changes, rows: Ints, folder: Ints) -> tuple[Ints, Ints]:
    """Of the entries `rows` the first one in each `folder` after each mark: the next mark does to all what it does to
    that one."""
    marks_before = np.cumsum(changes.clears)[rows]
    _, first = np.unique(marks_before * len(changes.parent) + folder, return_index=True)
    return rows[first], folder[first]


def _not_unpacked(changes: Changes, concerned: set[tuple[int, int, int]]) -> set[tuple[int, int]]:
    """From each directory up to one above it, which a mark is on: the topmost one that its layer did not unpack."""
    if not concerned:
        return set()
    is_concerned = marked(changes.layer[[mark for *_, mark in concerned]], int(changes.layer[-1]) + 1)
    rows = np.flatnonzero(changes.is_entry & is_concerned[changes.layer])[::-1]
    keys = zip(changes.layer[rows].tolist(), changes.node[rows].tolist(), strict=True)
    unpacked = dict(zip(keys, rows.tolist(), strict=True))  # the first one stays
    found = set()
    for node, top, mark in concerned:
        layer, topmost = int(changes.layer[mark]), -1
        while node != top:
            topmost = node if unpacked.get((layer, node), mark) >= mark else topmost
            node = int(changes.parent[node])
        if topmost >= 0:
            found.add((topmost, mark))
    return found
