"""Work that makes more work, fanned out over any `concurrent.futures.Executor`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
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
        self._running: set[Future[Any]] = set()
        self.added = 0

    def add(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Queue a call."""
        self._waiting.append((call, arguments))
        self.added += 1

    def results(self) -> Iterator[Any]:
        """Results as they come, until nothing is left. Left early (Ctrl-C), what waits is dropped."""
        try:
            while self._waiting or self._running:
                while self._waiting and len(self._running) < _IN_FLIGHT:
                    call, arguments = self._waiting.popleft()
                    self._running.add(self._executor.submit(call, *arguments))
                done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in self._running:
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
