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


class Worklist:
    """Calls waiting for their turn; whoever handles a result may add more.

    Args:
        executor: where calls run. Functions and arguments pickle, so it may be a process pool or a cluster's.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self.added = 0

    def add(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Queue a call."""
        self._waiting.append((call, arguments))
        self.added += 1

    def results(self) -> Iterator[Any]:
        """Results as they come, until nothing is left. Left early (Ctrl-C), what waits is dropped."""
        running: set[Future[Any]] = set()
        # A queue, since wait() would look at every running future for each one that is done.
        done: SimpleQueue[Future[Any]] = SimpleQueue()
        try:
            while self._waiting or running:
                while self._waiting and len(running) < _IN_FLIGHT:
                    call, arguments = self._waiting.popleft()
                    future = self._executor.submit(call, *arguments)
                    running.add(future)
                    future.add_done_callback(done.put)
                future = done.get()
                running.discard(future)
                yield future.result()
        finally:
            for future in running:
                future.cancel()


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
