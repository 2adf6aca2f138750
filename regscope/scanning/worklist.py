"""Work that makes more work, fanned out over any `concurrent.futures.Executor`."""

from __future__ import annotations

import gc
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, NamedTuple

LEAST_WORKERS = 4
MOST_WORKERS = 64
_IN_FLIGHT = 128  # enough to keep a cluster busy, few enough to be cancelled at once
_MOST_TOGETHER = 8
_Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Done(NamedTuple):
    """What calls gave, the seconds that they took, and the seconds of those in which they had something to do."""

    results: list[Any]
    elapsed: float
    busy: float


class AdaptiveLimit:
    """How many calls run at once on this machine.

    Threads hide the time that answers take on their way; more of them than that only get into each other's way. While
    one is busy the others can wait: so there are twice as many as the times that a call's busy seconds fit into the
    shortest time that one took.
    """

    def __init__(self) -> None:
        self.size = LEAST_WORKERS
        self._elapsed = math.inf

    def saw(self, done: Done) -> None:
        """Learn from calls that are done."""
        calls = len(done.results)
        self._elapsed = min(self._elapsed, done.elapsed / calls)
        busy = max(done.busy / calls, 1e-5)
        self.size = int(min(max(2 * self._elapsed / busy, LEAST_WORKERS), MOST_WORKERS))


class Worklist:
    """Calls waiting for their turn; whoever handles a result may add more.

    Args:
        executor: where calls run. Functions and arguments pickle, so it may be a process pool or a cluster's.
        limit: how many run at once; a fixed number, enough for a cluster, by default.
    """

    def __init__(self, executor: Executor, limit: AdaptiveLimit | None = None) -> None:
        self._executor = executor
        self._limit = limit
        self._waiting: deque[_Call] = deque()
        self.added = 0

    def add(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Queue a call."""
        self._waiting.append((call, arguments))
        self.added += 1

    def results(self) -> Iterator[Any]:
        """Results as they come, until nothing is left. Left early (Ctrl-C), what waits is dropped."""
        running: set[Future[Done]] = set()
        # A queue, since wait() would look at every running future for each one that is done.
        done: SimpleQueue[Future[Done]] = SimpleQueue()
        try:
            while self._waiting or running:
                while self._waiting and len(running) < (self._limit.size if self._limit else _IN_FLIGHT):
                    future = self._executor.submit(_run, self._together())
                    running.add(future)
                    future.add_done_callback(done.put)
                future = done.get()
                running.discard(future)
                if self._limit:
                    self._limit.saw(future.result())
                yield from future.result().results
        finally:
            for future in running:
                future.cancel()

    def _together(self) -> list[_Call]:
        """The next calls, several in one where many wait: handing over a future costs as much as a small answer."""
        number = min(1 + len(self._waiting) // _IN_FLIGHT, _MOST_TOGETHER)
        return [self._waiting.popleft() for _ in range(number)]


def _run(calls: list[_Call]) -> Done:
    started, busy = time.perf_counter(), time.thread_time()
    results = [call(*arguments) for call, arguments in calls]
    return Done(results, time.perf_counter() - started, time.thread_time() - busy)


@contextmanager
def local_pool() -> Iterator[Executor]:
    """The default executor: threads, since a scan mostly waits for the network."""
    pool = ThreadPoolExecutor(MOST_WORKERS, thread_name_prefix="regscope")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Look for garbage less often: rows pile up by the million, and looking through them time and again finds none."""
    usual = gc.get_threshold()
    gc.set_threshold(max(usual[0], 100_000) if usual[0] else 0, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
