"""How fast one host is asked: no faster than the user allows, nor than it says itself. Shared by all threads."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter

_JITTER = 0.1  # seconds: so that those who waited together do not come back together


class RateLimiter:
    """The pace of one host.

    Args:
        concurrency: requests at once; an answer that is still being read counts. No limit by default.
        rate: requests a second; no limit by default.

    Attributes:
        stumbles_pass: False once a request met a server's error (500) each time it was sent, until sending one again
            has helped: what a server cannot do for one thing it often cannot do for any like it.

    A host that refuses a request for coming too fast is asked by half as many threads, which then grow by one for
    each round of answers.
    """

    def __init__(self, concurrency: int | None = None, rate: float | None = None) -> None:
        self._most = float(concurrency or math.inf)
        self._limit = self._most
        self._interval = 1 / rate if rate else 0.0
        self._next = 0.0
        self._not_before = 0.0
        self._answered_at = 0.0
        self._holders: Counter[int] = Counter()
        self.stumbles_pass = True
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def enter(self) -> int:
        """Wait for this thread's turn; returns what `leave` wants.

        A thread that is still reading one answer does not wait for itself when it asks for another.
        """
        me = threading.get_ident()
        with self._lock:
            while me not in self._holders and len(self._holders) >= max(self._limit, 1):
                self._changed.wait()
            self._holders[me] += 1
        self.wait()
        return me

    def wait(self) -> None:
        """Wait until another request may go, with no regard to how many there are at once."""
        with self._lock:
            pause = self._pause()
        while pause > 0:
            time.sleep(pause)
            with self._lock:
                pause = self._pause()

    def leave(self, holder: int) -> None:
        """The answer was read, or there was none."""
        with self._lock:
            self._holders[holder] -= 1
            if self._holders[holder] <= 0:
                del self._holders[holder]
                self._changed.notify()

    def _pause(self) -> float:
        """Seconds until the next request may go; 0 takes the turn. The lock is held."""
        now = time.monotonic()
        if now < self._not_before:
            return self._not_before - now + random.uniform(0, _JITTER)
        if now < self._next:
            return self._next - now
        self._next = now + self._interval
        return 0

    def refused(self, seconds: float) -> None:
        """The host refused a request, and wants to be left alone for so long: by all threads."""
        with self._lock:
            now = time.monotonic()
            if now >= self._not_before:  # of many refusals at once only the first says something new
                self._limit = max(min(self._limit, len(self._holders)) // 2, 1)
            self._not_before = max(self._not_before, now + seconds)

    def answered(self) -> None:
        """The host answered: somebody got through."""
        with self._lock:
            self._answered_at = time.monotonic()
            if self._limit < self._most:
                self._limit = min(self._limit + 1 / self._limit, self._most)
                self._changed.notify()

    def answered_since(self, moment: float) -> bool:
        """Whether anybody got through after `moment` (of `time.monotonic`)."""
        return self._answered_at > moment
