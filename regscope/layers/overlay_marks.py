"""The directories that opaque whiteouts (marks) remove of their own layer."""

from __future__ import annotations

import numpy as np

from regscope.arrays import NONE, Ints, marked
from regscope.layers.overlay_changes import Changes


def swept_by_marks(changes: Changes) -> tuple[Ints, Ints]:
    """The directories that opaque whiteouts remove although their own layer created them, and the whiteouts.

    Example: a layer has an entry `d/e/f`, no entry `d/e`, and after them an opaque whiteout on `d`, which removes `d/e`
    with its content. Most opaque whiteouts precede the other entries in their directory, and then there are none.
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
    """Of the entries `rows`, the first one in each `folder` after each mark; the next mark has the same effect on the
    others."""
    marks_before = np.cumsum(changes.clears)[rows]
    _, first = np.unique(marks_before * len(changes.parent) + folder, return_index=True)
    return rows[first], folder[first]


def _not_unpacked(changes: Changes, concerned: set[tuple[int, int, int]]) -> set[tuple[int, int]]:
    """For each directory and a marked directory above it, the topmost directory between both without an entry in the
    layer."""
    if not concerned:
        return set()
    is_concerned = marked(changes.layer[[mark for *_, mark in concerned]], int(changes.layer[-1]) + 1)
    rows = np.flatnonzero(changes.is_entry & is_concerned[changes.layer])[::-1]
    keys = zip(changes.layer[rows].tolist(), changes.node[rows].tolist(), strict=True)
    unpacked = dict(zip(keys, rows.tolist(), strict=True))  # the last assignment, of the first entry, counts
    found = set()
    for node, top, mark in concerned:
        layer, topmost = int(changes.layer[mark]), -1
        while node != top:
            topmost = node if unpacked.get((layer, node), mark) >= mark else topmost
            node = int(changes.parent[node])
        if topmost >= 0:
            found.add((topmost, mark))
    return found
