"""Relations between numbers, against plain sets of pairs."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.analysis.relation import Relation
from regscope.arrays import Ints, distinct_pairs, sums

SIZE = 6
nodes = st.integers(0, SIZE - 1)
pairs = st.lists(st.tuples(st.integers(-1, SIZE - 1), st.integers(-1, SIZE - 1)), max_size=15)


def ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def relation(drawn: list[tuple[int, int]]) -> Relation:
    return Relation(ints([left for left, _ in drawn]), ints([right for _, right in drawn]), SIZE, SIZE)


def known(drawn: list[tuple[int, int]]) -> set[tuple[int, int]]:
    return {pair for pair in drawn if min(pair) >= 0}


def led_to(drawn: list[tuple[int, int]], root: int) -> set[int]:
    found, todo = set(), [root]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += [right for left, right in known(drawn) if left == node]
    return found


@settings(max_examples=60, deadline=None)
@given(pairs, st.lists(nodes, max_size=8))
def test_each_key_finds_its_rights_in_order_and_as_often_as_it_is_asked_for(
    drawn: list[tuple[int, int]], keys: list[int]
) -> None:
    position, right = relation(drawn).of(ints(keys))
    expected = [(n, r) for n, key in enumerate(keys) for left, r in sorted(known(drawn)) if left == key]
    assert list(zip(position.tolist(), right.tolist(), strict=True)) == expected


@settings(max_examples=60, deadline=None)
@given(pairs, st.lists(nodes, max_size=5))
def test_the_closure_is_all_that_a_root_leads_to_each_once_through_circles_too(
    drawn: list[tuple[int, int]], roots: list[int]
) -> None:
    position, node = relation(drawn).closure(ints(roots))
    found = list(zip(position.tolist(), node.tolist(), strict=True))
    assert sorted(found) == sorted((n, other) for n, root in enumerate(roots) for other in led_to(drawn, root))


@settings(max_examples=60, deadline=None)
@given(pairs, st.lists(nodes, max_size=5))
def test_reached_is_what_any_root_leads_to(drawn: list[tuple[int, int]], roots: list[int]) -> None:
    reached = relation(drawn).reached(ints(roots))
    assert set(np.flatnonzero(reached).tolist()) == set().union(*(led_to(drawn, root) for root in roots))


def test_a_relation_of_nothing_finds_nothing() -> None:
    nothing = Relation(ints([]), ints([]), 0, 0)
    assert [len(found) for found in nothing.closure(ints([]))] == [0, 0]
    assert len(nothing.reached(ints([]))) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(nodes, nodes), max_size=15))
def test_distinct_pairs_are_sorted_and_each_once(drawn: list[tuple[int, int]]) -> None:
    left, right = distinct_pairs(ints([left for left, _ in drawn]), ints([right for _, right in drawn]), SIZE)
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == sorted(set(drawn))


def test_sums_are_exact_beyond_what_floating_point_can_count() -> None:
    large = 2**53
    assert sums(ints([1, 1, 1]), ints([large, 1, 1]), 3).tolist() == [0, large + 2, 0]


@settings(max_examples=100, deadline=None)
@given(pairs, pairs, st.integers(1, 4))
def test_the_size_of_a_union_is_that_of_plain_sets_however_few_pairs_are_made_at_once(
    members: list[tuple[int, int]], elements: list[tuple[int, int]], at_once: int
) -> None:
    with patch("regscope.analysis.relation._PAIRS_AT_ONCE", at_once):
        found = relation(members).union_sizes(relation(elements))
    sets = [{right for left, right in known(elements) if left == member} for member in range(SIZE)]
    unions = [
        set[int]().union(*(sets[right] for left, right in known(members) if left == root)) for root in range(SIZE)
    ]
    assert found.tolist() == [len(union) for union in unions]
