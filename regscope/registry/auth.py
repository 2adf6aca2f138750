"""Authentication: a registry's challenges turned into `Authorization` headers, by Basic (RFC 7617) or by Bearer tokens.

The challenge of `/v2/` applies to the whole registry; a path with a challenge of its own is answered by that one
(Harbor wants Basic for the catalog alone). A client with a login asks `/v2/` first: a registry may answer an anonymous
request with 200 and show less.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from regscope.errors import AuthFailed, PermissionDeny, RequestError
from regscope.registry.challenge import Challenge, parse_challenges
from regscope.registry.credentials import Credentials, Keychain, Login
from regscope.registry.origin import origin, without_secrets
from regscope.registry.scopes import Asked
from regscope.registry.tokens import FetchToken, Tokens, TokenService, nobodys
from regscope.text import plain


class Greeting(NamedTuple):
    """The answer of `/v2/`, at `url`, to an anonymous request: the status, and `WWW-Authenticate`."""

    url: str
    status: int
    challenge: str


@dataclass(frozen=True, slots=True)
class _Way:
    """The scheme that a path's challenge asks for: a Bearer token of this service, or Basic; Bearer where both do."""

    bearer: TokenService | None
    basic: bool

    @classmethod
    def of(cls, challenges: dict[str, Challenge], url: str) -> _Way:
        """The scheme that these challenges ask for.

        Raises:
            AuthFailed: regscope supports none of their schemes.
        """
        bearer, basic = challenges.get("bearer"), "basic" in challenges
        service = TokenService.named_by(bearer.parameters) if bearer else None
        if service is not None and basic and not origin(service.realm)[1]:
            service = None  # the Bearer challenge has no realm, and Basic is offered too
        if service is None and not basic:
            raise _unknown_way(challenges, url)
        return cls(service, basic)


class Authorizer:
    """Answers the challenges of one registry with the credentials that there are.

    Args:
        keychain: the credentials, by repository. A credential helper runs only after the registry has sent a challenge.
        greet: requests `/v2/` anonymously.
        fetch_token: requests a token of a token service.
        guard: raises for an address that no credentials may be sent to.
    """

    def __init__(
        self,
        keychain: Keychain,
        greet: Callable[[], Greeting],
        fetch_token: FetchToken,
        guard: Callable[[str], None],
    ) -> None:
        self._keychain = keychain
        self._login = keychain.login
        self._greet = greet
        self._guard = guard
        self._tokens = Tokens(fetch_token)
        self._ways: dict[tuple[str, str], _Way] = {}  # by repository and kind, by kind alone, by neither
        self._wants_greeting = bool(keychain)
        self._greeting: Greeting | None = None
        self._greeting_lock = threading.Lock()

    @property
    def token_service(self) -> TokenService | None:
        """The one that the registry as a whole has named; None as long as it has named none."""
        way = self._ways.get(("", ""))
        return way.bearer if way else None

    def header(self, asked: Asked) -> str | None:
        """The `Authorization` header for a request, valid now; None for an anonymous request.

        Raises:
            AuthFailed: the credentials do not suit the challenge, or were refused.
            RequestError: the registry or its token service failed.
        """
        if self._wants_greeting and self._greeting is None:
            self._be_greeted()
        way = self._way(asked)
        if way is None:
            return self._unasked(asked)
        login = self._login(asked.need.repository)
        if login is not None:
            self._guard(asked.url)
        if way.bearer is not None:
            try:
                return f"Bearer {self._tokens.get(way.bearer, asked.need, login)}"
            except AuthFailed:
                raise
            except RequestError:
                if not (way.basic and isinstance(login, Credentials)):
                    raise
        if isinstance(login, Credentials):
            return login.basic
        if login is not None:
            raise _wants_password(asked.url, login)
        return None

    def _unasked(self, asked: Asked) -> str | None:
        """The header for a registry without a challenge: it may show more to a user whom it knows."""
        login = self._keychain.login_at_hand(asked.need.repository)
        if self._greeting is None or self._greeting.status >= 300 or not isinstance(login, Credentials):
            return None
        try:
            self._guard(asked.url)
        except AuthFailed:
            return None
        return login.basic

    def _be_greeted(self) -> None:
        with self._greeting_lock:  # one request for all threads
            if self._greeting is not None:
                return
            greeting = self._greet()
            if greeting.challenge:
                try:
                    self._ways["", ""] = _Way.of(parse_challenges(greeting.challenge), greeting.url)
                except AuthFailed:
                    if greeting.status == HTTPStatus.UNAUTHORIZED:
                        raise
            self._greeting = greeting

    def _way(self, asked: Asked) -> _Way | None:
        if isinstance(asked.way, _Way):
            return asked.way
        need = asked.need
        for place in ((need.repository, need.kind), ("", need.kind), ("", "")):
            if (way := self._ways.get(place)) is not None:
                return way
        return None

    def hear(self, challenge: str, asked: Asked) -> bool:
        """Handle a 401; return whether `header` now gives a value that was not sent yet.

        Args:
            challenge: the `WWW-Authenticate` header of a 401, which may be empty.
            asked: the request.

        Raises:
            AuthFailed: there is no answer to the challenge.
        """
        login = self._renewed(asked)
        before = self._way(asked)
        if not challenge and before is None and self._greeting is None:
            self._wants_greeting = True
            return True
        if not challenge and before is None and asked.sent[-1:] != [None]:
            return False
        challenges = parse_challenges(challenge) if challenge or before is None else {}
        way = _Way.of(challenges, asked.url) if challenges or before is None else before
        said = challenges["bearer"].parameters if "bearer" in challenges else {}
        if way.bearer is None and before is not None and before.bearer is not None and asked.has_sent_token:
            # Harbor sends a Basic challenge to every request with an Authorization header, such as an expired token.
            if self._tokens.hear(before.bearer, said, asked, login):
                return True
            if login is not None and not isinstance(login, Credentials):
                return False
        basic = login.basic if isinstance(login, Credentials) and way.basic else None
        if way.bearer is None and basic is None:
            raise _wants_password(asked.url, login)
        # Another thread may have learned the way since this request was sent anonymously.
        if way.bearer is None or (way == before and basic is not None and basic in asked.sent):
            is_new = basic not in asked.sent
        else:
            is_new = self._tokens.hear(way.bearer, said, asked, login)
        if is_new and way != before:
            self._ways.setdefault(("", ""), way)
            asked.way = way
        return is_new

    def renews(self, asked: Asked) -> bool:
        """Whether there is another login in place of the one that was refused with 403: Amazon ECR says so of a token
        that has expired."""
        login = self._login(asked.need.repository)
        is_basic = isinstance(login, Credentials) and login.basic in asked.sent
        return is_basic and self._renewed(asked) != login

    def _renewed(self, asked: Asked) -> Login | None:
        """The login for a request; another one, where its source has one in place of what was sent."""
        login = self._login(asked.need.repository)
        if isinstance(login, Credentials) and login.basic in asked.sent and self._keychain.renew(login):
            return self._login(asked.need.repository)
        return login

    def accepted(self, asked: Asked) -> None:
        """Remember that a request was accepted: later requests of its kind use the same scheme."""
        if isinstance(asked.way, _Way) and asked.way != self._ways.get((asked.need.repository, asked.need.kind)):
            need = asked.need
            self._ways[need.repository, need.kind] = self._ways["", need.kind] = asked.way

    def overhear(self, challenge: str, asked: Asked) -> bool:
        """As `hear`, for a challenge in a successful answer to an anonymous request."""
        if not self._keychain or self._way(asked) is not None:
            return False
        with suppress(AuthFailed):
            return self._login(asked.need.repository) is not None and self.hear(challenge, asked)
        return False

    def has_checked_login(self) -> bool:
        """Whether `/v2/` was requested with the credentials for the whole registry, and they were checked.

        Raises:
            AuthFailed: the registry ignores the credentials.
        """
        way, login = self._ways.get(("", "")), self._login("")
        if way is None or login is None:
            return False
        if way.bearer is None:
            return self._greeting is not None and self._greeting.status == HTTPStatus.UNAUTHORIZED
        if self._tokens.are_nobodys(way.bearer, login):
            raise nobodys(way.bearer.realm)
        return True

    def refused(self, challenge: str, asked: Asked) -> AuthFailed | PermissionDeny:
        """The error for a request that is still refused after its challenges were answered."""
        who = "these credentials" if self._login(asked.need.repository) else "an anonymous user"
        shown = without_secrets(asked.url)
        if asked.has_sent_token and "invalid_token" in challenge:
            return AuthFailed(
                f"{shown} does not take the token that its own token service gave",
                401,
                url=shown,
                next_step="Report it to whoever runs the registry: clocks or keys of the two may differ.",
            )
        if asked.has_sent_token:
            return PermissionDeny(
                f"{who} may not do this at {shown}",
                401,
                url=shown,
                next_step="Ask for the permission, or log in as someone who has it.",
            )
        return AuthFailed(
            f"{shown} refuses {who}", 401, url=shown, next_step="Check the user name and password, or log in again."
        )


def _wants_password(url: str, login: Login | None) -> AuthFailed:
    shown = without_secrets(url)
    return AuthFailed(
        f"{shown} wants a user name and password" + (", and what was found is a token" if login else ""),
        401,
        url=shown,
        next_step="Log in with `docker login`, or pass username=… and password=….",
    )


def _unknown_way(challenges: dict[str, Challenge], url: str) -> AuthFailed:
    asked = plain(", ".join(challenges), 200)
    shown = without_secrets(url)
    return AuthFailed(
        f"{shown} asks for {asked}; regscope knows Basic and Bearer",
        401,
        url=shown,
        next_step="Ask whoever runs the registry for a way in that docker knows as well.",
    )
