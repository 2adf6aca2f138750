"""Sending requests: the rate limit of each host, retries, and redirects that are safe to follow."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping

from requests.utils import requote_uri

from regscope.errors import ConnectionFailed, UnsafeRedirect
from regscope.registry.addresses import Reach
from regscope.registry.answer import Answer
from regscope.registry.connections import Connections
from regscope.registry.origin import check_hop, cut, resolved, same_origin, without_secrets
from regscope.registry.rate_limiter import RateLimiter
from regscope.registry.request_body import READING, Payload, is_repeatable
from regscope.registry.responses import discard
from regscope.registry.retry_policy import Attempts, RetryPolicy
from regscope.version import __version__

_MOST_REDIRECTS = 5
HEADERS = {"User-Agent": f"regscope/{__version__}", "Accept-Encoding": "identity"}
"""The header fields of each request."""

SECRETS = {"Authorization", "Cookie", "JOB-TOKEN", "PRIVATE-TOKEN", "Proxy-Authorization"}
"""The header fields that are sent to the registry only."""

_LONGEST_TURN = 0.05  # seconds; a header that took longer was fetched from a token service
_NEXT_STEP = "Ask whoever runs the registry to correct the address that it sends."

Authorize = Callable[[], str | None]
"""Returns the `Authorization` header for one request; None for an anonymous one."""


class Transport:
    """Sends requests to one registry, and to the hosts that it redirects to.

    Args:
        home: the registry's own address, which is allowed whatever network it is in.
        connections: the connections that requests are sent over.
        retry_policy: how often a request is sent again, and the waits between the attempts.
        concurrency: requests at once to each host; None for no limit.
        rate: requests a second to each host; None for no limit.
    """

    def __init__(
        self,
        home: str,
        connections: Connections,
        retry_policy: RetryPolicy,
        concurrency: int | None,
        rate: float | None,
    ) -> None:
        self._home = home
        self._connections = connections
        self._retry_policy = retry_policy
        self._concurrency = concurrency
        self._rate = rate
        self._paces: dict[str, RateLimiter] = {}

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout: tuple[float | None, float | None],
        body: Payload | None = None,
        authorize: Authorize | None = None,
        outlast_errors: bool = True,
        follow: bool = True,
    ) -> Answer:
        """The last answer, of any status, after retries and redirects; its body is still unread.

        Args:
            authorize: returns the `Authorization` header; called just before sending, since tokens expire in a queue.
            follow: follow redirects; otherwise the redirect itself is the answer.

        After a redirect to another origin no credentials are sent; only GET and HEAD follow such a redirect.

        Raises:
            ConnectionFailed: or one of its kinds, where there was no answer.
            UnsafeRedirect: a redirect leads to an address that must not be followed; or `url`, which the registry
                named, is such an address.
        """
        most = self._most(self._home, url)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._patiently(method, url, headers, timeout, body, authorize, outlast_errors, most)
            location = answer.headers.get("Location") if follow and answer.is_redirect else None
            if location is None:
                return answer
            discard(answer)
            target = resolved(url, location)
            most = self._most(url, target)
            if not same_origin(target, url):
                if method not in READING:
                    raise _unsafe(f"{without_secrets(url)} redirects a {method} request to {without_secrets(target)}")
                headers = {name: value for name, value in headers.items() if name not in SECRETS}
                authorize = None
            url = requote_uri(target)
        raise _unsafe(f"more than {_MOST_REDIRECTS} redirects from {without_secrets(url)}")

    def _most(self, source: str, target: str) -> Reach:
        """The least public kind of address that `target` may have, named by `source`; any for the registry itself."""
        return Reach.METADATA if same_origin(target, self._home) else check_hop(source, target)

    def _patiently(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout: tuple[float | None, float | None],
        body: Payload | None,
        authorize: Authorize | None,
        outlast_errors: bool,
        most: Reach,
    ) -> Answer:
        pace = self._pace(url)
        attempts = Attempts(method, is_repeatable(body), self._retry_policy, pace, outlast_errors)
        headers = {**HEADERS, **headers}
        while True:
            leave = functools.partial(pace.leave, pace.enter())
            authorized = headers if authorize is None else self._authorized(headers, authorize, pace, leave)
            try:
                answer = self._connections.send(method, url, authorized, body, timeout, leave, most)
            except ConnectionFailed as error:
                if not attempts.again_after(error):
                    raise
                continue
            if not attempts.again_instead_of(answer):
                return answer
            discard(answer)

    def _authorized(
        self, headers: dict[str, str], authorize: Authorize, pace: RateLimiter, leave: Callable[[], None]
    ) -> dict[str, str]:
        """`headers` with `Authorization`. If a token had to be fetched, the request waits for its turn once more."""
        try:
            began = time.monotonic()
            header = authorize()
            if time.monotonic() - began > _LONGEST_TURN:
                pace.wait()
                header = authorize()
        except BaseException:
            leave()
            raise
        return headers if header is None else {**headers, "Authorization": header}

    def _pace(self, url: str) -> RateLimiter:
        host = cut(url)[0]
        if host not in self._paces:
            self._paces.setdefault(host, RateLimiter(self._concurrency, self._rate))
        return self._paces[host]

    def close(self) -> None:
        """Close the idle connections; the next request makes new ones."""
        self._connections.close()


def _unsafe(what: str) -> UnsafeRedirect:
    return UnsafeRedirect(f"{what}: not followed", next_step=_NEXT_STEP)
