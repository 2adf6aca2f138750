"""Authentication: a registry's challenges turned into `Authorization` headers.

Basic and Bearer, the latter as Docker's token service gives it (distribution, docs/spec/auth/token.md). One token
serves one service and one set of scopes until shortly before it expires.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from regscope.errors import AuthFailed, PermissionDeny
from regscope.registry.challenge import Challenge, parse_challenges
from regscope.registry.credentials import Credentials
from regscope.registry.origin import without_secrets
from regscope.text import plain

_DEFAULT_LIFETIME = 60.0  # seconds, where the token service names none
_RENEW_BEFORE = 0.8  # of the lifetime: a long answer must not outlive its token

Scopes = frozenset[str]
_Key = tuple[str, str, Scopes]
FetchToken = Callable[[str, dict[str, str | list[str]], str | None], dict[str, Any]]
"""Asks a token service: realm, query and `Authorization` header in, its JSON answer out."""


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: float


class Authorizer:
    """Knows how one registry wants to be asked, and holds the tokens that it gave."""

    def __init__(self, credentials: Credentials | None, fetch_token: FetchToken) -> None:
        self._credentials = credentials
        self._fetch_token = fetch_token
        self._challenge: Challenge | None = None
        self._tokens: dict[_Key, _Token] = {}
        self._locks: defaultdict[_Key, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def header(self, scopes: Scopes) -> str | None:
        """The header for a request with `scopes`; None until the registry has been heard."""
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return self._credentials.basic if self._credentials else None
        return f"Bearer {self._token(challenge, scopes)}"

    def answer(self, header: str, scopes: Scopes, url: str, sent: str | None = None) -> str:
        """The header that answers a 401's `WWW-Authenticate`; `sent` is the one that was not good enough.

        A token that the registry no longer takes is replaced before its time, unless it only lacked a permission.

        Raises:
            AuthFailed: the challenge cannot be met, or what it asks for was refused.
        """
        challenges = parse_challenges(header)
        if bearer := challenges.get("bearer"):
            wanted = frozenset(bearer.parameters.get("scope", "").split()) or scopes
            stale = sent if bearer.parameters.get("error") != "insufficient_scope" else None
            token = self._token(bearer, wanted, stale)
            self._challenge = bearer
            return f"Bearer {token}"
        if basic := challenges.get("basic"):
            if self._credentials is None:
                raise AuthFailed(
                    f"{without_secrets(url)} wants a user name and password",
                    401,
                    url=without_secrets(url),
                    next_step="Log in with `docker login`, or pass username=… and password=….",
                )
            self._challenge = basic
            return self._credentials.basic
        asked = plain(", ".join(challenges), 200) or "nothing known"
        raise AuthFailed(
            f"{without_secrets(url)} asks for {asked}; regscope knows Basic and Bearer",
            401,
            url=without_secrets(url),
            next_step="Ask whoever runs the registry for a way in that docker knows as well.",
        )

    def refused(self, url: str, had_token: bool, header: str = "") -> AuthFailed | PermissionDeny:
        """The error for a request that is still refused, by `header`, with what answered its challenge."""
        who = "these credentials" if self._credentials else "an anonymous user"
        shown = without_secrets(url)
        if had_token and "invalid_token" in header:
            return AuthFailed(
                f"{shown} does not take the token that its own token service gave",
                401,
                url=shown,
                next_step="Report it to whoever runs the registry: clocks or keys of the two may differ.",
            )
        if had_token:
            return PermissionDeny(
                f"{who} may not do this at {shown}",
                401,
                url=shown,
                next_step="Ask for the permission, or log in as someone who has it.",
            )
        return AuthFailed(
            f"{shown} refuses {who}", 401, url=shown, next_step="Check the user name and password, or log in again."
        )

    def _token(self, challenge: Challenge, scopes: Scopes, stale: str | None = None) -> str:
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        key = (realm, service, scopes)
        with self._lock:
            lock = self._locks[key]
        with lock:  # one asks, the others wait for the same token; those who need another do not
            token = self._tokens.get(key)
            if token is None or time.monotonic() >= token.renew_at or f"Bearer {token.value}" == stale:
                token = self._tokens[key] = self._ask(realm, service, scopes)
        return token.value

    def _ask(self, realm: str, service: str, scopes: Scopes) -> _Token:
        query: dict[str, str | list[str]] = {"service": service} if service else {}
        if scopes:
            query["scope"] = sorted(scopes)
        asked_at = time.monotonic()
        answer = self._fetch_token(realm, query, self._credentials.basic if self._credentials else None)
        value = answer.get("token") or answer.get("access_token")
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            shown = without_secrets(realm)
            raise AuthFailed(
                f"the token service {shown} gave no token",
                401,
                url=shown,
                next_step="Report it to whoever runs the registry.",
            )
        return _Token(value, asked_at + _lifetime(answer.get("expires_in")) * _RENEW_BEFORE)


def _lifetime(stated: object) -> float:
    usable = isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0
    return float(stated) if usable else _DEFAULT_LIFETIME  # type: ignore[arg-type]
