"""Arrays of numbers that stand for things: what joins, groups and runs are made of, each with an example."""

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
"""No numbers."""


def looked_up(values: _Array, at: npt.NDArray[np.integer[Any]], absent: Any) -> _Array:
    """The value at each of these positions; `absent` where the position is -1, or the one after the last.

    >>> looked_up(np.array([70, 71, 72]), np.array([2, -1, 0, 3, 2]), absent=0)
    array([72,  0, 70,  0, 72])
    """
    found: _Array = np.append(values, absent)[at]
    return found


def scattered(values: Ints | int, at: Ints, total: int, absent: int) -> Ints:
    """An array of `total` numbers with these values at these positions, and `absent` elsewhere; the last one counts.

    >>> scattered(np.array([70, 71, 72]), np.array([4, 0, 4]), 5, absent=-1)
    array([71, -1, -1, -1, 72])
    """
    found = np.full(total, absent, dtype=np.int64)
    found[at] = values
    return found


def numbered_among(chosen: Ints, total: int) -> Ints:
    """For each of `total` things its place among the `chosen` ones; -1 for the others.

    >>> numbered_among(np.array([3, 1]), 5)
    array([-1,  1, -1,  0, -1])
    """
    return scattered(np.arange(len(chosen)), chosen, total, absent=-1)


def marked(at: Ints, total: int) -> Bools:
    """Whether each of `total` positions is one of `at`.

    >>> marked(np.array([3, 0, 3]), 5)
    array([ True, False, False,  True, False])
    """
    found = np.zeros(total, dtype=np.bool_)
    found[at] = True
    return found


def begins_run(*columns: npt.NDArray[Any]) -> Bools:
    """Whether each row differs from the one before it, in one column at least; the first row does.

    >>> begins_run(np.array([5, 5, 7, 7, 5]), np.array([0, 0, 0, 1, 1]))
    array([ True, False,  True,  True,  True])
    """
    found = np.ones(len(columns[0]), dtype=np.bool_)
    found[1:] = reduce(np.logical_or, (column[1:] != column[:-1] for column in columns))
    return found


def ends_run(*columns: npt.NDArray[Any]) -> Bools:
    """Whether each row differs from the one after it, in one column at least; the last row does.

    >>> ends_run(np.array([5, 5, 7, 7, 5]), np.array([0, 0, 0, 1, 1]))
    array([False,  True,  True,  True,  True])
    """
    found = np.ones(len(columns[0]), dtype=np.bool_)
    found[:-1] = reduce(np.logical_or, (column[1:] != column[:-1] for column in columns))
    return found


def running_totals(values: Ints) -> Ints:
    """The sum of the values before each one, and of all of them: of counts, where each group starts and ends.

    >>> running_totals(np.array([2, 0, 3, 1, 1]))
    array([0, 2, 2, 5, 6, 7])
    """
    totals = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=totals[1:])
    return totals


def joined(parts: Iterable[Ints]) -> Ints:
    """The numbers of all parts, of which there may be none.

    >>> joined([np.array([4, 5]), np.array([6])])
    array([4, 5, 6])
    """
    return np.concatenate([NONE, *parts])


def distinct(values: Ints) -> Ints:
    """The values, each once, sorted.

    numpy's `unique` hashes since 2.3: for millions of pairs, whose hashes collide, it takes ten times as long.

    >>> distinct(np.array([7, 3, 7, 3, 9]))
    array([3, 7, 9])
    """
    if not (values[1:] > values[:-1]).all():
        values = np.sort(values)
        values = values[begins_run(values)]
    return values


def distinct_pairs(left: Ints, right: Ints, n_right: int) -> tuple[Ints, Ints]:
    """The pairs of numbers from 0, each once, sorted; the right ones are less than `n_right`.

    >>> distinct_pairs(np.array([1, 0, 1, 1, 0]), np.array([2, 3, 0, 2, 3]), 4)
    (array([0, 1, 1]), array([3, 0, 2]))
    """
    keys = distinct(left * max(n_right, 1) + right)
    left = keys // max(n_right, 1)
    return left, keys - left * max(n_right, 1)


def sums(groups: Ints, values: Ints, n_groups: int) -> Ints:
    """The sum of the values in each group, exact: numpy's bincount would add in floating point.

    >>> sums(np.array([0, 2, 0, 2, 2]), np.array([1, 10, 2, 20, 30]), 3)
    array([ 3,  0, 60])
    """
    total = np.zeros(n_groups, dtype=np.int64)
    np.add.at(total, groups, values)
    return total


def least(groups: Ints, values: Ints, n_groups: int, absent: int) -> Ints:
    """The smallest of the values in each group; `absent`, which no value exceeds, where a group has none.

    >>> least(np.array([0, 2, 0, 2, 2]), np.array([4, 10, 2, 20, 30]), 3, absent=99)
    array([ 2, 99, 10])
    """
    found = np.full(n_groups, absent, dtype=np.int64)
    np.minimum.at(found, groups, values)
    return found


def greatest(groups: Ints, values: Ints, n_groups: int, absent: int) -> Ints:
    """The largest of the values in each group; `absent`, which no value is below, where a group has none.

    >>> greatest(np.array([0, 2, 0, 2, 2]), np.array([4, 10, 2, 20, 30]), 3, absent=-1)
    array([ 4, -1, 30])
    """
    found = np.full(n_groups, absent, dtype=np.int64)
    np.maximum.at(found, groups, values)
    return found
