"""Functions on integer arrays, from which joins, groups and runs are built, each with an example."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
_Array = TypeVar("_Array", bound=npt.NDArray[Any])

NONE: Ints = np.array([], dtype=np.int64)
"""An empty array of numbers."""


def looked_up(values: _Array, at: npt.NDArray[np.integer[Any]], absent: Any) -> _Array:
    """The value at each of these positions; `absent` for the position -1 and the position after the last.

    >>> looked_up(np.array([70, 71, 72]), np.array([2, -1, 0, 3, 2]), absent=0)
    array([72,  0, 70,  0, 72])
    """
    found: _Array = np.append(values, absent)[at]
    return found


def scattered(values: Ints | int, at: Ints, total: int, absent: int) -> Ints:
    """An array of `total` numbers with these values at these positions, and `absent` elsewhere.

    If a position occurs more than once, its last value counts.

    >>> scattered(np.array([70, 71, 72]), np.array([4, 0, 4]), 5, absent=-1)
    array([71, -1, -1, -1, 72])
    """
    found = np.full(total, absent, dtype=np.int64)
    found[at] = values
    return found


def numbered_among(chosen: Ints, total: int) -> Ints:
    """For each number below `total`, its position in `chosen`; -1 if it is not chosen.

    >>> numbered_among(np.array([3, 1]), 5)
    array([-1,  1, -1,  0, -1])
    """
    return scattered(np.arange(len(chosen)), chosen, total, absent=-1)


def marked(at: Ints, total: int) -> Bools:
    """A mask of length `total` that is true at the positions `at`.

    >>> marked(np.array([3, 0, 3]), 5)
    array([ True, False, False,  True, False])
    """
    found = np.zeros(total, dtype=np.bool_)
    found[at] = True
    return found


def begins_run(*columns: npt.NDArray[Any]) -> Bools:
    """Whether each row differs from the previous row in at least one column; true for the first row.

    >>> begins_run(np.array([5, 5, 7, 7, 5]), np.array([0, 0, 0, 1, 1]))
    array([ True, False,  True,  True,  True])
    """
    found = np.ones(len(columns[0]), dtype=np.bool_)
    found[1:] = reduce(np.logical_or, (column[1:] != column[:-1] for column in columns))
    return found


def ends_run(*columns: npt.NDArray[Any]) -> Bools:
    """Whether each row differs from the next row in at least one column; true for the last row.

    >>> ends_run(np.array([5, 5, 7, 7, 5]), np.array([0, 0, 0, 1, 1]))
    array([False,  True,  True,  True,  True])
    """
    found = np.ones(len(columns[0]), dtype=np.bool_)
    found[:-1] = reduce(np.logical_or, (column[1:] != column[:-1] for column in columns))
    return found


def running_totals(values: Ints) -> Ints:
    """The sum of all values before each value, and the total: for counts, where each group starts and ends.

    >>> running_totals(np.array([2, 0, 3, 1, 1]))
    array([0, 2, 2, 5, 6, 7])
    """
    totals = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=totals[1:])
    return totals


def joined(parts: Iterable[Ints]) -> Ints:
    """The parts concatenated to one array; an empty array if there are no parts.

    >>> joined([np.array([4, 5]), np.array([6])])
    array([4, 5, 6])
    """
    return np.concatenate([NONE, *parts])


def distinct(values: Ints) -> Ints:
    """The distinct values, sorted.

    numpy's `unique` hashes since 2.3: for millions of pairs, whose hashes collide, it takes ten times as long.

    >>> distinct(np.array([7, 3, 7, 3, 9]))
    array([3, 7, 9])
    """
    if not (values[1:] > values[:-1]).all():
        values = np.sort(values)
        values = values[begins_run(values)]
    return values


def distinct_pairs(left: Ints, right: Ints, n_right: int) -> tuple[Ints, Ints]:
    """The distinct pairs of numbers from 0, sorted; the right numbers are less than `n_right`.

    >>> distinct_pairs(np.array([1, 0, 1, 1, 0]), np.array([2, 3, 0, 2, 3]), 4)
    (array([0, 1, 1]), array([3, 0, 2]))
    """
    keys = distinct(left * max(n_right, 1) + right)
    left = keys // max(n_right, 1)
    return left, keys - left * max(n_right, 1)


def sums(groups: Ints, values: Ints, n_groups: int) -> Ints:
    """The exact sum of the values in each group; numpy's bincount would add in floating point.

    >>> sums(np.array([0, 2, 0, 2, 2]), np.array([1, 10, 2, 20, 30]), 3)
    array([ 3,  0, 60])
    """
    total = np.zeros(n_groups, dtype=np.int64)
    np.add.at(total, groups, values)
    return total


def least(groups: Ints, values: Ints, n_groups: int, absent: int) -> Ints:
    """The smallest value in each group; `absent` for a group without values (no value may exceed `absent`).

    >>> least(np.array([0, 2, 0, 2, 2]), np.array([4, 10, 2, 20, 30]), 3, absent=99)
    array([ 2, 99, 10])
    """
    found = np.full(n_groups, absent, dtype=np.int64)
    np.minimum.at(found, groups, values)
    return found


def greatest(groups: Ints, values: Ints, n_groups: int, absent: int) -> Ints:
    """The largest value in each group; `absent` for a group without values (no value may be below `absent`).

    >>> greatest(np.array([0, 2, 0, 2, 2]), np.array([4, 10, 2, 20, 30]), 3, absent=-1)
    array([ 4, -1, 30])
    """
    found = np.full(n_groups, absent, dtype=np.int64)
    np.maximum.at(found, groups, values)
    return found
