"""What is made ahead, and what whoever waits does meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from regscope.scanning.prefetch import prefetch

_MANY = 100


def _slowly(pause: float) -> Iterator[int]:
    for number in range(_MANY):
        time.sleep(pause)
        yield number


@pytest.mark.parametrize(("making", "using"), [(0, 0), (0.001, 0), (0, 0.001), (0.001, 0.001)])
def test_each_item_is_taken_aside_once_and_in_order_whoever_is_the_slower(making: float, using: float) -> None:
    taken: list[int] = []
    used = []
    for number in prefetch(_slowly(making), taken.append):
        time.sleep(using)
        used.append(number)
    assert used == taken == list(range(_MANY))


def test_a_slow_maker_leaves_it_to_the_user() -> None:
    by: set[str] = set()
    for _ in prefetch(_slowly(0.001), lambda _: by.add(threading.current_thread().name)):
        pass
    assert threading.current_thread().name in by


def test_an_error_within_what_is_done_aside_reaches_the_user() -> None:
    def refuse(number: int) -> None:
        if number == _MANY // 2:
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        list(prefetch(_slowly(0), refuse))


def test_an_error_of_the_maker_comes_after_what_was_made() -> None:
    def failing() -> Iterator[int]:
        yield from range(3)
        raise ValueError("no more")

    made = prefetch(failing())
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(made)
