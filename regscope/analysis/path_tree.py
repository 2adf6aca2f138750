"""Paths as the numbered nodes of a tree: what is above what is then a matter of integers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from regscope.analysis.relation import Ints, distinct

_LAST_PART = r"/?[^/]*$"


class PathTree:
    """The distinct ones of `paths`, and every directory above them.

    Attributes:
        names: each node's path; the root's is empty.
        parent: each node's directory; -1 for the root.
        node: the node of each of `paths`.
    """

    def __init__(self, paths: pa.Array) -> None:
        encoded = paths.dictionary_encode()
        self.node: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        names, above = [encoded.dictionary], [_above(encoded.dictionary)]
        known = encoded.dictionary
        # Directories that no entry names are found from below, one level at a time.
        while len(missing := _not_in(above[-1], known)):
            names.append(missing)
            above.append(_above(missing))
            known = pa.concat_arrays([known, missing])
        self.names: pa.Array = known
        self.parent = self.find(pa.concat_arrays(above))

    def find(self, paths: pa.Array) -> Ints:
        """The node of each of `paths`; -1 where there is none, or no path."""
        found = pc.index_in(paths, value_set=self.names, skip_nulls=True)
        nodes: Ints = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return nodes

    def part(self, nodes: Ints) -> tuple[Ints, Ints]:
        """The tree of `nodes` and what is above them: its nodes, sorted, and the number of each one's parent there."""
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
    distinct = pc.unique(paths.drop_null())
    return distinct.filter(pc.invert(pc.is_in(distinct, value_set=known)))
