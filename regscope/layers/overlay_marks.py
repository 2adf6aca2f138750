"""What opaque marks remove of their own layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regscope.arrays import Ints

if TYPE_CHECKING:
    from regscope.layers.overlay import Stack


def swept_by_marks(stack: Stack) -> tuple[Ints, Ints]:
    """The directories that opaque marks remove though their own layer made them, and the marks.

    A layer with an entry `d/e/f`, none of `d/e`, and after them an opaque mark on `d`: `d/e` goes with what is in it.
    Most marks stand before all that their layer has there, and then there are none.
    """
    nothing = np.array([], dtype=np.int64)
    clears = np.flatnonzero(stack.clears)
    if not len(clears):
        return nothing, nothing
    last = np.full(int(stack.layer[-1]) + 1, -1)
    last[stack.layer[clears]] = clears
    rows = np.flatnonzero(np.arange(len(stack)) < last[stack.layer])
    folder = np.where(stack.clears, stack.node, stack.parent[stack.node])[rows]
    rows, folder = _first_between_marks(stack, rows[folder >= 0], folder[folder >= 0])
    marks = stack.events(stack.node[clears], clears)
    concerned: set[tuple[int, int, int]] = set()
    node = folder
    while len(rows):
        _, mark = marks.next(node, stack.time[rows])
        own = (mark >= 0) & (stack.layer[mark] == stack.layer[rows])
        concerned.update(zip(folder[own].tolist(), node[own].tolist(), mark[own].tolist(), strict=True))
        node = stack.parent[node]
        rows, folder, node = rows[node >= 0], folder[node >= 0], node[node >= 0]
    swept = np.array(sorted(_not_unpacked(stack, concerned)), dtype=np.int64).reshape(-1, 2)
    return swept[:, 0], swept[:, 1]


def _first_between_marks(stack: Stack, rows: Ints, folder: Ints) -> tuple[Ints, Ints]:
    """Of the entries `rows` the first one in each `folder` after each mark: the next mark does to all what it does to
    that one."""
    marks_before = np.cumsum(stack.clears)[rows]
    _, first = np.unique(marks_before * len(stack.parent) + folder, return_index=True)
    return rows[first], folder[first]


def _not_unpacked(stack: Stack, concerned: set[tuple[int, int, int]]) -> set[tuple[int, int]]:
    """From each directory up to one above it, which a mark is on: the topmost one that its layer did not unpack."""
    if not concerned:
        return set()
    is_concerned = np.zeros(int(stack.layer[-1]) + 1, dtype=np.bool_)
    is_concerned[stack.layer[[mark for *_, mark in concerned]]] = True
    rows = np.flatnonzero(stack.is_entry & is_concerned[stack.layer])[::-1]
    keys = zip(stack.layer[rows].tolist(), stack.node[rows].tolist(), strict=True)
    unpacked = dict(zip(keys, rows.tolist(), strict=True))  # the first one stays
    found = set()
    for node, top, mark in concerned:
        layer, topmost = int(stack.layer[mark]), -1
        while node != top:
            topmost = node if unpacked.get((layer, node), mark) >= mark else topmost
            node = int(stack.parent[node])
        if topmost >= 0:
            found.add((topmost, mark))
    return found
