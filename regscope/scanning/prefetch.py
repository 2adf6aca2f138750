"""Prefetching: a second thread makes items while earlier items are used; the thread that waits does other work."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

_Item = TypeVar("_Item")
_WAITING = 4


def prefetch(items: Iterable[_Item], aside: Callable[[_Item], object] | None = None) -> Generator[_Item, None, None]:
    """Yield `items` in order; a second thread makes a few of them in advance, and stops if the generator is closed.

    Args:
        aside: called once for each item, in order, before the generator ends: by the maker's or the user's thread,
            whichever would otherwise wait for the other.
    """
    waiting = _Aside(aside)
    made: SimpleQueue[_Item | _End] = SimpleQueue()  # its length is bounded by `room`
    room = threading.Semaphore(_WAITING)
    left = threading.Event()

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                made.put(item)
                waiting.add(item)
                while not room.acquire(blocking=False):
                    if not waiting.take_one():
                        room.acquire()
                        break
                if left.is_set():
                    return
            waiting.take_all()  # while the user is busy with the last item
        except BaseException as raised:
            error = raised
        made.put(_End(error))

    worker = threading.Thread(target=make, name="regscope-unpack", daemon=True)
    worker.start()
    try:
        while not isinstance(item := _next(made, waiting), _End):
            yield item
            room.release()
        if item.error is not None:
            raise item.error
    finally:
        left.set()
        room.release()
        worker.join()


def _next(made: SimpleQueue[Any], waiting: _Aside[Any]) -> Any:
    while True:
        try:
            return made.get_nowait()
        except Empty:
            if not waiting.take_one():
                return made.get()


class _Aside(Generic[_Item]):
    """A queue of items for which `take` is to be called, in order, by the thread that has time."""

    def __init__(self, take: Callable[[_Item], object] | None) -> None:
        self._take = take
        self._items: deque[_Item] = deque()
        self._in_turn = threading.Lock()

    def add(self, item: _Item) -> None:
        """Queue an item; if many are waiting, `take` the first of them now."""
        if self._take is not None:
            self._items.append(item)
            if len(self._items) > _WAITING:
                self.take_one()

    def take_one(self) -> bool:
        """`take` the first item, unless the queue is empty or another thread is taking one; whether one was taken."""
        if self._take is None or not self._in_turn.acquire(blocking=False):
            return False
        try:
            if not self._items:
                return False
            self._take(self._items.popleft())
            return True
        finally:
            self._in_turn.release()

    def take_all(self) -> None:
        """`take` all items that are still waiting."""
        with self._in_turn:
            while self._take is not None and self._items:
                self._take(self._items.popleft())


class _End:
    """The end of the items, with the error that ended them, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
