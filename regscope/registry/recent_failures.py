"""Failures that would only be repeated: they are raised again for a while, in place of another try."""

from __future__ import annotations

import copy
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

from regscope.errors import RequestError

_HOLD_FOR = 10.0  # seconds: thousands of requests ask once, and whoever mends the cause need not wait long

K = TypeVar("K", bound=Hashable)


class RecentFailures(Generic[K]):
    """The errors of the last seconds, by what was tried."""

    def __init__(self) -> None:
        self._errors: dict[K, tuple[float, RequestError]] = {}

    def keep(self, key: K, error: RequestError) -> None:
        """Remember that this failed."""
        self._errors[key] = (time.monotonic() + _HOLD_FOR, error)

    def get(self, key: K) -> RequestError | None:
        """How this failed a moment ago; None where it did not."""
        until, error = self._errors.get(key, (0.0, None))
        return error if time.monotonic() < until else None

    def check(self, key: K, status: int | None = None) -> None:
        """Raise what this failed with a moment ago; with a `status`, only if it was that."""
        error = self.get(key)
        if error is not None and status in (None, error.status_code):
            raise copy.copy(error)
