"""Whether a request is sent again, and when."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from http import HTTPStatus

from regscope.errors import ConnectionFailed, TLSFailed
from regscope.registry.answer import Answer
from regscope.registry.rate_limiter import RateLimiter
from regscope.spec.retry_after import wait_asked_for

TOO_MANY = 429
_STUMBLES = {500, 502, 503, 504}
_REPEATABLE = {"GET", "HEAD", "PUT", "DELETE"}
_MOST_REFUSALS = 100
_ONCE_MORE = 1  # where waiting for others like it was in vain


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is sent again, and how long is waited before.

    Attributes:
        failures: after a connection that was not made, or broke.
        refusals: after 429 or a server's error; of 429s only those count since which nobody got through.
        backoff: seconds before the second attempt, doubled for each that follows, where the server names no time.
        longest: seconds; a server that wants to be left alone for longer is not waited for.
        settling: seconds for which a change that was accepted is looked for.
    """

    failures: int = 2
    refusals: int = 5
    backoff: float = 0.2
    longest: float = 300
    settling: float = 30

    def pause(self, attempt: int) -> float:
        """Seconds before the attempt that follows `attempt`, of which the first is 1."""
        return float(min(self.backoff * 2 ** (attempt - 1), 20) * random.uniform(1, 1.5))


class Attempts:
    """The attempts at one request; without `outlast_errors` a server's error is an answer."""

    def __init__(
        self, method: str, repeatable: bool, retry_policy: RetryPolicy, pace: RateLimiter, outlast_errors: bool = True
    ) -> None:
        self._repeatable = repeatable and method in _REPEATABLE
        self._can_be_sent_again = repeatable
        self._outlasts_errors = outlast_errors
        self._retry_policy = retry_policy
        self._pace = pace
        self._failures = 0
        self._refusals = 0
        self._refused_at = 0.0

    def again_after(self, error: ConnectionFailed) -> bool:
        """Whether to try again after there was no answer; waits before it says so."""
        # A certificate that is not trusted will not be trusted a second later.
        if not self._repeatable or isinstance(error, TLSFailed) or self._failures >= self._retry_policy.failures:
            return False
        self._failures += 1
        time.sleep(self._retry_policy.pause(self._failures))
        return True

    def again_instead_of(self, response: Answer) -> bool:
        """Whether to try again rather than to take this answer; waits before it says so."""
        status = response.status_code
        if status != TOO_MANY:
            self._pace.answered()
            if status not in _STUMBLES or not self._repeatable or not self._outlasts_errors:
                self._pace.stumbles_pass |= self._refusals > 0 and status not in _STUMBLES
                return False
        if not self._can_be_sent_again:
            return False
        if not self._refusals:
            self._refused_at = time.monotonic()
        self._refusals += 1
        if self._is_hopeless(status):
            self._pace.stumbles_pass &= status != HTTPStatus.INTERNAL_SERVER_ERROR
            return False
        asked = wait_asked_for(response.headers.get("Retry-After"))
        if asked is not None and asked > self._retry_policy.longest:
            return False
        pause = self._retry_policy.pause(self._refusals) if asked is None else asked
        if status == TOO_MANY or asked is not None:
            self._pace.refused(pause)  # waited for there, by this thread and all others
        else:
            time.sleep(pause)
        return True

    def _is_hopeless(self, status: int) -> bool:
        if status == HTTPStatus.INTERNAL_SERVER_ERROR and not self._pace.stumbles_pass:
            return self._refusals > min(_ONCE_MORE, self._retry_policy.refusals)
        if self._refusals <= self._retry_policy.refusals:
            return False
        moving = status == TOO_MANY and self._pace.answered_since(self._refused_at)
        return not moving or self._refusals > _MOST_REFUSALS
