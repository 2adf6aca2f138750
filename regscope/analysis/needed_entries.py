"""Which entries of layers an image's final file system needs; the others can be left out of them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from regscope.arrays import Bools, Ints
from regscope.layers.overlay import Stack
from regscope.layers.stacked import Stacked


def needed_entries(image: Stacked, whole: Collection[int] = ()) -> Bools:
    """Whether each entry must stay, so that the layers come to the same file system.

    These stay:

    - what is visible, and the file that a visible hardlink is a name of, with the links between them, and the last
      hardlink to it, which sets its owner and its mode
    - directories that are there in the end: also where a higher layer has an entry for them as well
    - whiteouts and opaque marks that hide something that stays
    - the first entry in a directory that no entry is of, where nothing else that stays needs that directory
    - symlinks on the way to what stays. Where that is one of a lower layer, also the entry itself and what it hides:
      on overlayfs Docker and containerd do not see lower layers, and make a directory in the symlink's place
    - what gave way to a directory because a later entry is below it, and that entry
    - marks that mean nothing

    Where the rest comes to something else all the same, as odd hardlinks to what is not there may, everything stays.

    Of the five entries in the docstring of `Stack` all stay: d/x holds the content of d/y, and so its whiteout has
    something to hide.

    Args:
        whole: the numbers of layers of which all entries stay.
    """
    stack = image.stack
    gave_way = stack.overwritten & (stack.node[stack.hidden_by] != stack.node)
    needed: Bools = stack.visible | stack.lasts | stack.ignored | (stack.is_entry & gave_way)
    needed[stack.hidden_by[gave_way]] = True
    needed |= np.isin(stack.layer, list(whole))
    _add_what_goes_through_lower_layers(image, needed)
    nodes, first = stack.implied
    while True:
        before = needed.copy()
        _add_targets(stack, needed)
        _add_symlinks(image, needed)
        needed |= _hiding(stack, needed)
        missing = first[~np.isin(nodes, stack.part(np.flatnonzero(needed)).implied[0])]
        needed[missing] = True
        if np.array_equal(before, needed):
            break
    return needed if comes_to_the_same(image, np.flatnonzero(needed)) else np.ones_like(needed)


def _add_what_goes_through_lower_layers(image: Stacked, needed: Bools) -> None:
    """Entries on whose way there is a symlink of a lower layer, and what they hide."""
    stack = image.stack
    entry, link = image.through
    entry = entry[stack.layer[link] < stack.layer[entry]]
    needed[entry] = True
    needed |= np.isin(stack.hidden_by, entry)


def _add_targets(stack: Stack, needed: Bools) -> None:
    """Of what is needed, the entries that hardlinks lead to, and those whose headers their files have."""
    rows = np.flatnonzero(needed)
    while len(rows):
        targets = np.append(stack.linked[rows], stack.header[rows[stack.visible[rows]]])
        rows = np.unique(targets[~needed[targets]])
        needed[rows] = True


def _add_symlinks(image: Stacked, needed: Bools) -> None:
    """The symlinks on the way to what is needed, and those on the way to them."""
    entry, link = image.through
    while len(more := link[needed[entry] & ~needed[link]]):
        needed[more] = True


def _hiding(stack: Stack, needed: Bools) -> Bools:
    """The marks that hide entries that are needed."""
    hiding = needed.copy()
    lowest = np.full(len(stack.parent), len(stack))
    below = lowest.copy()
    rows = np.flatnonzero(needed & stack.is_entry)
    node = stack.node[rows]
    np.minimum.at(lowest, node, rows)
    while len(rows):
        node = stack.parent[node]
        rows, node = rows[node >= 0], node[node >= 0]
        np.minimum.at(below, node, rows)
    mark = np.arange(len(stack))
    hiding |= stack.deletes & (np.minimum(lowest, below)[stack.node] < mark)
    hiding |= stack.clears & (below[stack.node] < mark)
    return hiding


def comes_to_the_same(image: Stacked, rows: Ints) -> bool:
    """Whether these entries alone come to the same: the same entries at the same paths, names of the same files."""
    part = image.part(rows)
    whole, fewer = image.stack, part.stack
    names, left = np.flatnonzero(whole.visible), np.flatnonzero(fewer.visible)
    return (
        np.array_equal(names, rows[left])
        and np.array_equal(whole.inode[names], rows[fewer.inode[left]])
        and np.array_equal(whole.header[names], rows[fewer.header[left]])
        and _paths(image, whole.node[names]).equals(_paths(part, fewer.node[left]))
        and set(_paths(image, whole.implied[0]).to_pylist()) == set(_paths(part, fewer.implied[0]).to_pylist())
    )


def _paths(image: Stacked, nodes: Ints) -> pa.Array:
    return image.tree.names.take(pa.array(image.paths[nodes]))
