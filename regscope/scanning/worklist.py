"""A work queue on any `concurrent.futures.Executor`: the results of calls may add further calls."""

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
    """The results of some calls, their elapsed time and their CPU time, both in seconds."""

    results: list[Any]
    elapsed: float
    busy: float


class AdaptiveLimit:
    """The number of calls to run concurrently on this machine, adapted to the measured latency.

    Threads hide network latency; more threads than needed for that slow each other down. While one thread computes, the
    others wait for responses: the limit is twice the shortest elapsed time of a call divided by its CPU time.
    """

    def __init__(self) -> None:
        self.size = LEAST_WORKERS
        self._elapsed = math.inf

    def saw(self, done: Done) -> None:
        """Update the limit by the times of finished calls."""
        calls = len(done.results)
        self._elapsed = min(self._elapsed, done.elapsed / calls)
        busy = max(done.busy / calls, 1e-5)
        self.size = int(min(max(2 * self._elapsed / busy, LEAST_WORKERS), MOST_WORKERS))


class Worklist:
    """A queue of calls; the code that handles a result may add more calls.

    Args:
        executor: where the calls run. Functions and arguments can be pickled, so processes or a cluster work as well.
        limit: the number of concurrent calls; by default a fixed number that is enough for a cluster.
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
        """Yield results as calls finish, until no call is left; if closed early (Ctrl-C), waiting calls are dropped."""
        running: set[Future[Done]] = set()
        # A queue is used because wait() would inspect every running future for each finished one.
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
        """The next calls for one future: several if many wait, since a future costs as much as a small response."""
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
    """Run Python's garbage collector less often: a scan keeps millions of rows, which it would traverse each time."""
    usual = gc.get_threshold()
    gc.set_threshold(max(usual[0], 100_000) if usual[0] else 0, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
