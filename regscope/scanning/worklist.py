"""Work that makes more work, fanned out over any `concurrent.futures.Executor`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

DEFAULT_WORKERS = 16
_IN_FLIGHT = 128  # enough to keep a cluster busy, few enough to be cancelled at once
_MOST_TOGETHER = 8
_Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Worklist:
    """Calls waiting for their turn; whoever handles a result may add more.

    Args:
        executor: where calls run. Functions and arguments pickle, so it may be a process pool or a cluster's.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: deque[_Call] = deque()
        self.added = 0

    def add(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Queue a call."""
        self._waiting.append((call, arguments))
        self.added += 1

    def results(self) -> Iterator[Any]:
        """Results as they come, until nothing is left. Left early (Ctrl-C), what waits is dropped."""
        running: set[Future[list[Any]]] = set()
        # A queue, since wait() would look at every running future for each one that is done.
        done: SimpleQueue[Future[list[Any]]] = SimpleQueue()
        try:
            while self._waiting or running:
                while self._waiting and len(running) < _IN_FLIGHT:
                    future = self._executor.submit(_run, self._together())
                    running.add(future)
                    future.add_done_callback(done.put)
                future = done.get()
                running.discard(future)
                yield from future.result()
        finally:
            for future in running:
                future.cancel()

    def _together(self) -> list[_Call]:
        """The next calls, several in one where many wait: handing over a future costs as much as a small answer."""
        number = min(1 + len(self._waiting) // _IN_FLIGHT, _MOST_TOGETHER)
        return [self._waiting.popleft() for _ in range(number)]


def _run(calls: list[_Call]) -> list[Any]:
    return [call(*arguments) for call, arguments in calls]


@contextmanager
def local_pool() -> Iterator[Executor]:
    """The default executor: threads, since a scan mostly waits for the network."""
    pool = ThreadPoolExecutor(DEFAULT_WORKERS, thread_name_prefix="regscope")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def is_interactive() -> bool:
    """Whether somebody is watching: a terminal, or a notebook."""
    return "ipykernel" in sys.modules or sys.stderr.isatty()
