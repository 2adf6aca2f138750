"""The layer entries that an image's final file system needs; all others can be removed from the layers."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from regscope.arrays import Bools, Ints
from regscope.layers.overlay import Stack
from regscope.layers.stacked import Stacked


def needed_entries(image: Stacked, whole: Collection[int] = ()) -> Bools:
    """For each entry, whether it must be kept so that the layers still give the same final file system.

    These entries are kept:

    - visible entries; for a visible hardlink also the file that it is a name of, the hardlinks between both, and the
      last hardlink to the file, which sets its owner and mode
    - directories that exist in the final file system, even if a higher layer has an entry for them as well
    - whiteouts and opaque whiteouts that hide a kept entry
    - the first entry in a directory without an entry of its own, if no other kept entry needs that directory
    - symlinks among the parents of kept entries. If such a symlink is in a lower layer, the entry below it and the
      entries that this one hides are kept as well: on overlayfs, Docker and containerd do not see lower layers, and
      create a directory in place of the symlink
    - entries that a directory replaced because a later entry is below their path, and that later entry
    - whiteouts without effect

    If the kept entries nevertheless give another file system, as hardlinks to missing targets may cause, all entries
    are kept.

    Of the five entries in the docstring of `Stack`, all are kept: d/x has the content of d/y, and its whiteout is kept
    because it hides d/x.

    Args:
        whole: the numbers of layers whose entries are all kept.
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
    """Add the entries with a symlink of a lower layer among their parents, and the entries that they hide."""
    stack = image.stack
    entry, link = image.through
    entry = entry[stack.layer[link] < stack.layer[entry]]
    needed[entry] = True
    needed |= np.isin(stack.hidden_by, entry)


def _add_targets(stack: Stack, needed: Bools) -> None:
    """Add the targets of needed hardlinks, and the entries whose headers set the attributes of needed files."""
    rows = np.flatnonzero(needed)
    while len(rows):
        targets = np.append(stack.linked[rows], stack.header[rows[stack.visible[rows]]])
        rows = np.unique(targets[~needed[targets]])
        needed[rows] = True


def _add_symlinks(image: Stacked, needed: Bools) -> None:
    """Add the symlinks among the parents of needed entries, and those among the parents of these symlinks."""
    entry, link = image.through
    while len(more := link[needed[entry] & ~needed[link]]):
        needed[more] = True


def _hiding(stack: Stack, needed: Bools) -> Bools:
    """Whether each entry is needed or is a whiteout that hides a needed entry."""
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
    """Whether these entries alone give the same file system: equal entries at equal paths, names of equal files."""
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
