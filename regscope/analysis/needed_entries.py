"""Which entries of layers an image's final file system needs; the others can be left out of them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from regscope.analysis.changesets import Stack
from regscope.analysis.relation import Bools, Ints


def needed_entries(stack: Stack, whole: Collection[int] = ()) -> Bools:
    """Whether each entry must stay, so that the layers come to the same file system.

    These stay:

    - what is visible, and the file that a visible hardlink is a name of, with the links between them
    - directories that are there in the end: also where a higher layer has an entry for them as well
    - whiteouts and opaque marks that hide something of lower layers that stays
    - the first entry in a directory that no entry is of, where nothing else that stays needs that directory
    - what gave way to a directory because a later entry is below it, and that entry: some unpackers follow a symlink
    - marks that mean nothing

    Where the rest comes to something else all the same, as odd hardlinks to what is not there may, everything stays.

    Args:
        whole: the numbers of layers of which all entries stay.
    """
    gave_way = stack.overwritten & (stack.node[stack.hidden_by] != stack.node)
    needed: Bools = stack.visible | stack.lasts | stack.ignored | (stack.is_entry & gave_way)
    needed[stack.hidden_by[gave_way]] = True
    needed |= np.isin(stack.layer, list(whole))
    nodes, first = stack.implied
    while True:
        _add_targets(stack, needed)
        needed |= _hiding(stack, needed)
        missing = first[~np.isin(nodes, stack.part(np.flatnonzero(needed)).implied[0])]
        if needed[missing].all():
            break
        needed[missing] = True
    return needed if comes_to_the_same(stack, np.flatnonzero(needed)) else np.ones_like(needed)


def _add_targets(stack: Stack, needed: Bools) -> None:
    """Of what is needed, the entries that hardlinks lead to."""
    rows = np.flatnonzero(needed)
    while len(rows):
        targets = stack.linked[rows]
        rows = np.unique(targets[~needed[targets]])
        needed[rows] = True


def _hiding(stack: Stack, needed: Bools) -> Bools:
    """The marks that hide entries of lower layers that are needed."""
    hiding = needed.copy()
    lowest = np.full(len(stack.parent), np.iinfo(np.int64).max)
    below = lowest.copy()
    rows = np.flatnonzero(needed & stack.is_entry)
    node = stack.node[rows]
    np.minimum.at(lowest, node, stack.layer[rows])
    while len(rows):
        node = stack.parent[node]
        rows, node = rows[node >= 0], node[node >= 0]
        np.minimum.at(below, node, stack.layer[rows])
    hiding |= stack.deletes & (np.minimum(lowest, below)[stack.node] < stack.layer)
    hiding |= stack.clears & (below[stack.node] < stack.layer)
    return hiding


def comes_to_the_same(stack: Stack, rows: Ints) -> bool:
    """Whether these entries alone come to the same: the same entries at the same paths, names of the same files."""
    part = stack.part(rows)
    names, fewer = np.flatnonzero(stack.visible), np.flatnonzero(part.visible)
    return (
        np.array_equal(names, rows[fewer])
        and np.array_equal(stack.inode[names], rows[part.inode[fewer]])
        and np.array_equal(np.sort(stack.implied[0]), np.sort(part.implied[0]))
    )
