"""How fast requests are sent to one host: within the user's limits and the host's own. Shared by all threads."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter

_JITTER = 0.1  # seconds, random, so that waiting threads do not all continue at the same moment


class RateLimiter:
    """Limits the requests to one host.

    Args:
        concurrency: the most requests at once; a request counts until its answer is read. No limit by default.
        rate: the most requests a second; no limit by default.

    Attributes:
        stumbles_pass: False after a request got a server error (500) at every attempt, until another attempt helps:
            such an error often concerns all similar requests.

    After a 429 only half as many requests run at once; the number grows by one with each round of answers.
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
        """Wait until a request may be sent; returns the value for `leave`.

        A thread that is still reading one answer need not wait for its own request to end before it sends another.
        """
        me = threading.get_ident()
        with self._lock:
            while me not in self._holders and len(self._holders) >= max(self._limit, 1):
                self._changed.wait()
            self._holders[me] += 1
        self.wait()
        return me

    def wait(self) -> None:
        """Wait until the rate allows another request, whatever the number of concurrent ones."""
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
        """Seconds until the next request may be sent; 0 reserves it. The lock is held."""
        now = time.monotonic()
        if now < self._not_before:
            return self._not_before - now + random.uniform(0, _JITTER)
        if now < self._next:
            return self._next - now
        self._next = now + self._interval
        return 0

    def refused(self, seconds: float) -> None:
        """The host answered 429: no thread sends a request for so many seconds."""
        with self._lock:
            now = time.monotonic()
            if now >= self._not_before:  # of several 429 at once only the first halves the limit
                self._limit = max(min(self._limit, len(self._holders)) // 2, 1)
            self._not_before = max(self._not_before, now + seconds)

    def answered(self) -> None:
        """The host answered a request."""
        with self._lock:
            self._answered_at = time.monotonic()
            if self._limit < self._most:
                self._limit = min(self._limit + 1 / self._limit, self._most)
                self._changed.notify()

    def answered_since(self, moment: float) -> bool:
        """Whether the host answered a request after `moment` (of `time.monotonic`)."""
        return self._answered_at > moment
