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
    held = np.where(stack.is_entry | stack.clears, stack.node, stack.parent[stack.node])[rows]
    rows, held = rows[held >= 0], held[held >= 0]
    marks = stack.events(stack.node[clears], clears)
    found: set[tuple[int, int]] = set()
    node = stack.parent[held]
    while len(rows):
        rows, held, node = rows[node >= 0], held[node >= 0], node[node >= 0]
        _, mark = marks.next(node, stack.time[rows])
        own = (mark >= 0) & (stack.layer[mark] == stack.layer[rows])
        found |= _not_unpacked(stack, held[own], node[own], mark[own])
        node = stack.parent[node]
    swept = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    return swept[:, 0], swept[:, 1]


def _not_unpacked(stack: Stack, held: Ints, above: Ints, marks: Ints) -> set[tuple[int, int]]:
    """From each node that is `held` up to a directory `above`: the topmost one that its layer did not unpack."""
    if not len(held):
        return set()
    rows = np.flatnonzero(stack.is_entry & np.isin(stack.layer, stack.layer[marks]))[::-1]
    keys = zip(stack.layer[rows].tolist(), stack.node[rows].tolist(), strict=True)
    unpacked = dict(zip(keys, rows.tolist(), strict=True))  # the first one stays
    found = set()
    for node, top, mark in {*zip(held.tolist(), above.tolist(), marks.tolist(), strict=True)}:
        layer, topmost = int(stack.layer[mark]), -1
        while node != top:
            topmost = node if unpacked.get((layer, node), mark) >= mark else topmost
            node = int(stack.parent[node])
        if topmost >= 0:
            found.add((topmost, mark))
    return found
