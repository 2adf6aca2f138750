"""Recent failures, which are raised again for a while in place of another attempt."""

from __future__ import annotations

import copy
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

from regscope.errors import RequestError

_HOLD_FOR = 10.0  # seconds: thousands of requests fail at once, and a user who corrects the cause need not wait long

K = TypeVar("K", bound=Hashable)


class RecentFailures(Generic[K]):
    """The errors of the last seconds, by a key."""

    def __init__(self) -> None:
        self._errors: dict[K, tuple[float, RequestError]] = {}

    def keep(self, key: K, error: RequestError) -> None:
        """Remember an error."""
        self._errors[key] = (time.monotonic() + _HOLD_FOR, error)

    def get(self, key: K) -> RequestError | None:
        """The recent error for a key; None where there is none."""
        until, error = self._errors.get(key, (0.0, None))
        return error if time.monotonic() < until else None

    def check(self, key: K, status: int | None = None) -> None:
        """Raise the recent error for a key; with `status`, only an error of that status."""
        error = self.get(key)
        if error is not None and status in (None, error.status_code):
            raise copy.copy(error)
