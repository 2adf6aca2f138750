"""How many calls run at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from regscope.scanning.worklist import AdaptiveLimit, Worklist


def size_after(call: Callable[[], object]) -> int:
    """The crew that so many calls end with."""
    limit = AdaptiveLimit()
    with ThreadPoolExecutor(64) as pool:
        todo = Worklist(pool, limit)
        for _ in range(200):
            todo.add(call)
        assert len(list(todo.results())) == 200
    return limit.size


def test_many_wait_at_once_for_answers_that_are_long_on_their_way() -> None:
    assert size_after(lambda: time.sleep(0.02)) == 64


def test_few_work_at_once_where_there_is_nothing_to_wait_for() -> None:
    assert size_after(lambda: sum(range(20_000))) <= 8


def test_results_that_make_more_work_are_all_there() -> None:
    with ThreadPoolExecutor(4) as pool:
        todo = Worklist(pool)
        for number in range(1000):
            todo.add(int, number)
        found = []
        for result in todo.results():
            found.append(result)
            if result < 1000:
                todo.add(int, result + 1000)
    assert sorted(found) == list(range(2000))
