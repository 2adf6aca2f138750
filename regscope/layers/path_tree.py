"""Paths as the numbered nodes of a tree, so that operations on paths are operations on integers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from regscope.arrays import NONE, Ints, distinct, looked_up

_LAST_PART = r"/?[^/]*$"


class PathTree:
    """The distinct paths among `paths`, and all directories above them.

    >>> tree = PathTree(pa.array(["a/b/c", "a", "a/b/d", "a"]))
    >>> tree.names.to_pylist()
    ['a/b/c', 'a', 'a/b/d', 'a/b', '']
    >>> tree.parent, tree.node
    (array([ 3,  4,  3,  1, -1]), array([0, 1, 2, 1]))

    Attributes:
        names: for each node, its path; empty for the root.
        parent: for each node, the node of its directory; -1 for the root.
        node: for each of `paths`, its node.
    """

    def __init__(self, paths: pa.Array) -> None:
        encoded = paths.dictionary_encode()
        self.node = _numbers(encoded.indices)
        named = encoded.dictionary
        above = _above(named).dictionary_encode()
        folders = above.dictionary
        # Directories are few; each level is found from the one below.
        level = folders
        while len(level := _not_in(_above(level), folders)):
            folders = pa.concat_arrays([folders, level])
        node = _numbers(pc.index_in(folders, value_set=named))
        unnamed = np.flatnonzero(node < 0)
        node[unnamed] = len(named) + np.arange(len(unnamed))
        above_folders = _numbers(pc.index_in(_above(folders), value_set=folders, skip_nulls=True))
        self.names: pa.Array = pa.concat_arrays([named, folders.take(pa.array(unnamed))])
        folder = np.concatenate([_numbers(above.indices), above_folders[unnamed]])
        self.parent: Ints = looked_up(node, folder, absent=-1)

    def find(self, paths: pa.Array) -> Ints:
        """For each of `paths`, its node; -1 if the path is not in the tree, or is absent."""
        if not len(paths):  # avoids hashing all names
            return NONE
        return _numbers(pc.index_in(paths, value_set=self.names, skip_nulls=True))

    def part(self, nodes: Ints) -> tuple[Ints, Ints]:
        """The subtree of `nodes` and all directories above them: its nodes, sorted, and each one's parent in it."""
        found = above = distinct(nodes)
        while len(above):
            above = distinct(self.parent[above])
            above = above[(above >= 0) & ~np.isin(above, found)]
            found = distinct(np.concatenate([found, above]))
        parent = self.parent[found]
        return found, np.where(parent >= 0, np.searchsorted(found, parent), -1)


def _above(paths: pa.Array) -> pa.Array:
    """The directory of each path; absent for the root."""
    above = pc.replace_substring_regex(paths, _LAST_PART, "")
    return pc.if_else(pc.equal(paths, ""), pa.scalar(None, paths.type), above)


def _not_in(paths: pa.Array, known: pa.Array) -> pa.Array:
    names = pc.unique(paths.drop_null())
    return names.filter(pc.invert(pc.is_in(names, value_set=known)))


def _numbers(indices: pa.Array) -> Ints:
    """The positions as an array; -1 for absent positions."""
    return np.array(indices.fill_null(-1), dtype=np.int64)
