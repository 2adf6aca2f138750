"""Requests to one registry, each sent again with credentials when a challenge asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from regscope.errors import AuthFailed, TooLarge
from regscope.registry.addresses import is_loopback
from regscope.registry.answer import Answer
from regscope.registry.auth import Authorizer, Greeting
from regscope.registry.authenticator import CustomAuthorizer
from regscope.registry.http_response import response_of
from regscope.registry.origin import origin, same_origin, without_secrets
from regscope.registry.request_body import Payload, is_repeatable
from regscope.registry.request_options import Seconds
from regscope.registry.responses import discard, error_from, read_bounded, short_body
from regscope.registry.scopes import Asked, Need, need_of
from regscope.registry.tokens import TokenService
from regscope.registry.transport import SECRETS, Transport
from regscope.spec.retry_after import TOO_MANY

_LONGEST_HELLO = 4096  # bytes
_MOST_ANSWERS = 4  # answers to one request, of which all but the last ask for other credentials


class AuthorizedRequests:
    """Sends requests with the credentials that the registry asks for.

    Args:
        home: the registry's address; only its own answers can ask for credentials.
        transport: sends each attempt.
        authorizer: answers the challenges.
        guard: raises AuthFailed for a URL that no credentials may be sent to.
        note: called with the last answer to each request, of any status.
        answers_challenges: whether a 401 is answered with credentials; otherwise it is an error at once.

    Attributes:
        authorization: the `Authorization` header that was sent last; empty for an anonymous request.
    """

    def __init__(
        self,
        home: str,
        transport: Transport,
        authorizer: Authorizer | CustomAuthorizer,
        guard: Callable[[str], None],
        note: Callable[[Answer], None],
        answers_challenges: bool = True,
    ) -> None:
        self._home = home
        self._transport = transport
        self._authorizer = authorizer
        self._guard = guard
        self._note = note
        self._answers_challenges = answers_challenges
        self.authorization = ""

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: Payload | None,
        timeout: Seconds,
        outlast_errors: bool,
        follow: bool,
        need: Need | None = None,
    ) -> Answer:
        """The answer to a request, its body still unread; see `DockerRegistryV2Client.request`.

        Raises:
            AuthFailed, PermissionDeny: the registry refuses the credentials, or there are none to answer it with.
            RequestError: there is no answer, or its status is 400 or above.
        """
        at_home = same_origin(url, self._home)
        if not SECRETS.isdisjoint(headers):
            headers = self._without_leaks(url, headers)
        asked = Asked(need or need_of(method, url, self._home), url)
        may_be_repeated = is_repeatable(data)
        authorize = partial(self._authorize, asked) if at_home and self._answers_challenges else None
        for _ in range(_MOST_ANSWERS):
            answer = self._transport.send(method, url, headers, timeout, data, authorize, outlast_errors, follow)
            challenge, at_home = challenge_of(answer, self._home)
            may_answer = may_be_repeated and at_home and self._answers_challenges
            if not (may_answer and self._asks_again(method, answer, challenge, asked)):
                break
            discard(answer)
        self._note(answer)
        if answer.status_code == 401 and self._answers_challenges:
            refusal = self._authorizer.refused(challenge, asked)
            refusal.response = response_of(answer, short_body(answer))
            raise refusal
        self._authorizer.accepted(asked)
        if answer.status_code >= 400:
            raise error_from(answer)
        return answer

    def _without_leaks(self, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The header fields, without the user's own secrets where `url` is not the registry's.

        Raises:
            AuthFailed: `url` is the registry's, and the connection is not private.
        """
        if not same_origin(url, self._home):
            return {name: value for name, value in headers.items() if name not in SECRETS}
        self._guard(url)
        return headers

    def _authorize(self, asked: Asked) -> str | None:
        header = asked.sends(self._authorizer.header(asked))
        self.authorization = header or ""
        return header

    def _asks_again(self, method: str, answer: Answer, challenge: str, asked: Asked) -> bool:
        """Whether the request is to be sent again, with credentials that were not sent yet."""
        if answer.status_code == 401:
            try:
                return self._authorizer.hear(challenge, asked)
            except BaseException:
                discard(answer)
                raise
        if answer.status_code == 403 and challenge and asked.has_sent_token:  # Keppel names another scope in this way
            with suppress(AuthFailed):
                return self._authorizer.hear(challenge, asked)
        if answer.status_code == 403 and isinstance(self._authorizer, Authorizer) and self._authorizer.renews(asked):
            return True
        was_read = answer.status_code < 400 and method in ("GET", "HEAD")
        return was_read and bool(challenge) and self._authorizer.overhear(challenge, asked)

    @property
    def token_service(self) -> TokenService | None:
        """The token service that the registry's challenge named; None before a challenge, or without a service."""
        return self._authorizer.token_service if isinstance(self._authorizer, Authorizer) else None

    def has_checked_login(self) -> bool:
        """Whether the registry has checked the credentials in one of the requests so far.

        Raises:
            AuthFailed: the registry ignores the credentials.
        """
        return not isinstance(self._authorizer, Authorizer) or self._authorizer.has_checked_login()


def challenge_of(answer: Answer, home: str) -> tuple[str, bool]:
    """The challenge in an answer, and whether it is the registry's own answer; those of other hosts are ignored."""
    at_home = same_origin(answer.url, home)
    return (answer.headers.get("WWW-Authenticate", "") if at_home else ""), at_home


def greet(transport: Transport, url: str, timeout: Seconds) -> Greeting:
    """The status and the challenge of `url`, the registry's `/v2/`, for an anonymous request.

    Raises:
        RequestError: there is no answer, or the registry failed.
    """
    answer = transport.send("GET", url, {}, timeout)
    if answer.status_code == TOO_MANY or answer.status_code >= 500:
        raise error_from(answer)
    discard(answer)
    return Greeting(url, answer.status_code, challenge_of(answer, url)[0])


def anonymous_answer(transport: Transport, url: str, timeout: Seconds) -> tuple[Mapping[str, str], bytes]:
    """The header fields and the body of the answer to an anonymous GET; see `DockerRegistryV2Client.hello`."""
    answer = transport.send("GET", url, {}, timeout)
    if not same_origin(answer.url, url):
        discard(answer)
        return {}, b""
    try:
        return answer.headers, read_bounded(answer, _LONGEST_HELLO, f"the answer of {url}")
    except TooLarge:
        return answer.headers, b""


def is_confidential(url: str, verify: bool | str) -> bool:
    """Whether only the host of `url` can read what is sent there: TLS with verification, or this machine."""
    scheme, host, _ = origin(url)
    return is_loopback(host) or (scheme == "https" and verify is not False)


def leak(url: str) -> AuthFailed:
    """The error for credentials that would be sent over a connection that is not private."""
    return AuthFailed(
        f"credentials are not sent to {without_secrets(url)}: the connection is not private",
        401,
        url=without_secrets(url),
        next_step="Use https with a valid certificate, or allow it for this host (insecure).",
    )
