"""Relations between integers, for joins and closures over millions of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from regscope.arrays import Bools, Ints, distinct, distinct_pairs, running_totals, sums

_PAIRS_AT_ONCE = 4_000_000  # of 8 bytes for each of their two numbers


class Relation:
    """Distinct pairs of numbers from 0, grouped by the left one.

    The pairs of the examples below: 0 leads to 1 and 2, 1 to 3, 2 to 3, and 4 to itself.

    >>> example = Relation(np.array([0, 0, 1, 2, 4]), np.array([2, 1, 3, 3, 4]), 5, 5)
    >>> example.left, example.right
    (array([0, 0, 1, 2, 4]), array([1, 2, 3, 3, 4]))
    """

    def __init__(self, left: Ints, right: Ints, n_left: int, n_right: int) -> None:
        known = (left >= 0) & (right >= 0)
        left, right = distinct_pairs(left[known], right[known], n_right)
        self.n_left, self.n_right = n_left, n_right
        self.left, self.right = left, right
        self._starts = running_totals(np.bincount(left, minlength=n_left))

    def of(self, keys: Ints) -> tuple[Ints, Ints]:
        """For each pair whose left number is in `keys`: the position of that key, and the right number.

        >>> example = Relation(np.array([0, 0, 1, 2, 4]), np.array([2, 1, 3, 3, 4]), 5, 5)
        >>> example.of(np.array([2, 3, 0, 2]))  # 3 leads to nothing
        (array([0, 2, 2, 3]), array([3, 1, 2, 3]))
        """
        starts = self._starts[keys]
        counts = self._starts[keys + 1] - starts
        position = np.repeat(np.arange(len(keys), dtype=np.int64), counts)
        within = np.arange(len(position), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
        return position, self.right[np.repeat(starts, counts) + within]

    def holds(self, left: Ints, right: Ints) -> Bools:
        """Whether each pair of `left` and `right` is in the relation.

        >>> example = Relation(np.array([0, 0, 1, 2, 4]), np.array([2, 1, 3, 3, 4]), 5, 5)
        >>> example.holds(np.array([0, 2, 3]), np.array([2, 0, 1]))
        array([ True, False, False])
        """
        keys, wanted = self.left * max(self.n_right, 1) + self.right, left * max(self.n_right, 1) + right
        return np.isin(wanted, keys)

    def closure(self, roots: Ints) -> tuple[Ints, Ints]:
        """For each root, all numbers that it leads to, itself included, each once: the root's position, and the number.

        The roots are first, then the numbers reached in one step, in two, and so on; 0 leads to 3 by 1 and by 2.

        >>> example = Relation(np.array([0, 0, 1, 2, 4]), np.array([2, 1, 3, 3, 4]), 5, 5)
        >>> example.closure(np.array([2, 0]))
        (array([0, 1, 0, 1, 1, 1]), array([2, 0, 3, 1, 2, 3]))
        """
        position, node = np.arange(len(roots), dtype=np.int64), roots
        all_positions, all_nodes = position, node
        seen = position * self.n_right + node
        while len(node):
            step, onward = self.of(node)
            position, node = distinct_pairs(position[step], onward, self.n_right)
            key = position * self.n_right + node
            new = ~np.isin(key, seen)
            position, node = position[new], node[new]
            seen = np.concatenate([seen, key[new]])
            all_positions, all_nodes = np.concatenate([all_positions, position]), np.concatenate([all_nodes, node])
        return all_positions, all_nodes

    def union_sizes(self, sets: Relation) -> Ints:
        """For each left number, the size of the union of the `sets` that it leads to.

        Many left numbers lead to equal sets, for example the files of one layer; their union is computed once.

        Three files, of which 0 and 2 are in the layers 0 and 1, and 1 is in layer 1; layer 0 is in the images 0 and 1,
        layer 1 in the images 1 and 2:

        >>> layers = Relation(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 1]), 3, 2)
        >>> layers.union_sizes(Relation(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), 2, 3))
        array([3, 2, 3])
        """
        kind, one_of_kind = sets.distinct_sets()
        kinds = Relation(self.left, kind[self.right], self.n_left, len(one_of_kind))
        union, one_of_union = kinds.distinct_sets()
        position, member = kinds.of(one_of_union)
        pairs = sums(position, np.diff(sets._starts)[one_of_kind[member]], len(one_of_union))
        sizes = []
        for lefts in np.split(one_of_union, np.flatnonzero(np.diff(np.cumsum(pairs) // _PAIRS_AT_ONCE)) + 1):
            position, member = kinds.of(lefts)
            step, element = sets.of(one_of_kind[member])
            position, _ = distinct_pairs(position[step], element, sets.n_right)
            sizes.append(np.bincount(position, minlength=len(lefts)))
        return np.concatenate(sizes)[union].astype(np.int64)

    def distinct_sets(self) -> tuple[Ints, Ints]:
        """For each left number, the number of its set of right numbers, equal for equal sets; and a left for each set.

        >>> example = Relation(np.array([0, 0, 1, 2, 4]), np.array([2, 1, 3, 3, 4]), 5, 5)
        >>> example.distinct_sets()  # 1 and 2 both lead to 3 alone, and 3 to nothing
        (array([0, 1, 1, 2, 3]), array([0, 1, 3, 4]))
        """
        starts, rights = (pa.py_buffer(np.ascontiguousarray(array)) for array in (self._starts * 8, self.right))
        sets = pa.LargeBinaryArray.from_buffers(pa.large_binary(), self.n_left, [None, starts, rights])
        numbers = sets.dictionary_encode().indices.to_numpy().astype(np.int64)
        _, lefts = np.unique(numbers, return_index=True)
        return numbers, lefts.astype(np.int64)

    def reached(self, roots: Ints) -> Bools:
        """For each number, whether any of `roots` leads to it; a root leads to itself.

        >>> example = Relation(np.array([0, 0, 1, 2, 4]), np.array([2, 1, 3, 3, 4]), 5, 5)
        >>> example.reached(np.array([2, 4]))
        array([False, False,  True,  True,  True])
        """
        reached = np.zeros(self.n_right, dtype=np.bool_)
        frontier = distinct(roots)
        while len(frontier):
            reached[frontier] = True
            _, onward = self.of(frontier)
            frontier = distinct(onward[~reached[onward]])
        return reached
