"""Whether a request is sent again, and when."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from http import HTTPStatus

from regscope.errors import ConnectionFailed, TLSFailed
from regscope.registry.answer import Answer
from regscope.registry.rate_limiter import RateLimiter
from regscope.spec.retry_after import TOO_MANY, is_rate_limited, wait_asked_for

_STUMBLES = {500, 502, 503, 504}
_REPEATABLE = {"GET", "HEAD", "PUT", "DELETE"}
_MOST_REFUSALS = 100
_ONCE_MORE = 1  # after attempts again did not help similar requests


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is sent again, and after which pause.

    Attributes:
        failures: the most attempts again after a connection that failed or broke.
        refusals: the most attempts again after 429 or a server error; a 429 does not count if another request was
            answered since.
        backoff: seconds before the second attempt, doubled each time, where the server states no time.
        longest: seconds; where the server asks for a longer pause, the request is not sent again.
        settling: seconds to wait until an accepted change can be seen.
    """

    failures: int = 2
    refusals: int = 5
    backoff: float = 0.2
    longest: float = 300
    settling: float = 30

    def pause(self, attempt: int) -> float:
        """Seconds between an attempt, counted from 1, and the next one."""
        return float(min(self.backoff * 2 ** (attempt - 1), 20) * random.uniform(1, 1.5))


class Attempts:
    """The attempts at one request; without `outlast_errors` a server error is taken as the answer."""

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
        """Wait, and return True, where the request is to be sent again after a failed connection; else False."""
        # An untrusted certificate does not become trusted by waiting.
        if not self._repeatable or isinstance(error, TLSFailed) or self._failures >= self._retry_policy.failures:
            return False
        self._failures += 1
        time.sleep(self._retry_policy.pause(self._failures))
        return True

    def again_instead_of(self, response: Answer) -> bool:
        """Wait, and return True, where the request is to be sent again after this answer; else False."""
        status = TOO_MANY if is_rate_limited(response.status_code, response.headers) else response.status_code
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
        asked = wait_asked_for(response.headers)
        if asked is not None and asked > self._retry_policy.longest:
            return False
        pause = self._retry_policy.pause(self._refusals) if asked is None else asked
        if status == TOO_MANY or asked is not None:
            self._pace.refused(pause)  # the rate limiter waits, for all threads
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
