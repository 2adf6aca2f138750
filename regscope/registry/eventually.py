"""Waiting for a change that was accepted (202): the registry may carry it out later (RFC 9110, 15.3.3)."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST_PAUSE = 0.1  # seconds, doubled each time
_LONGEST_PAUSE = 2.0


def eventually(is_so: Callable[[], bool], within: float) -> bool:
    """Whether `is_so` becomes true within so many seconds; it is called again and again."""
    end = time.monotonic() + within
    pause = _FIRST_PAUSE
    while not is_so():
        left = end - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)
    return True
