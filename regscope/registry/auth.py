"""Authentication: a registry's challenges turned into `Authorization` headers.

Basic and Bearer, the latter as Docker's token service gives it: for a name and a password or for nobody
(distribution, docs/spec/auth/token.md), and for an identity token (docs/spec/auth/oauth.md). One token serves one
service, one login and one set of scopes until shortly before it expires.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from regscope.errors import AuthFailed, PermissionDeny
from regscope.registry.challenge import Challenge, parse_challenges
from regscope.registry.credentials import Credentials, IdentityToken, Login, RegistryToken, is_bearer_token
from regscope.registry.origin import without_secrets
from regscope.registry.scopes import Scopes
from regscope.text import plain

_DEFAULT_LIFETIME = 60.0  # seconds, where the token service names none
_RENEW_BEFORE = 0.8  # of the lifetime: a long answer must not outlive its token

_CLIENT_ID = "regscope"

_Key = tuple[str, str, Scopes, Login | None]


@dataclass(frozen=True, slots=True)
class TokenQuestion:
    """What a token service at `realm` is asked: by GET with `query`, or by POST where there is a `form`.

    `authorization` and `form` are secrets, and must go nowhere else.
    """

    realm: str
    query: dict[str, str | list[str]] = field(default_factory=dict)
    authorization: str | None = field(default=None, repr=False)
    form: dict[str, str] | None = field(default=None, repr=False)

    @property
    def has_secrets(self) -> bool:
        """Whether it says more than a scope."""
        return self.authorization is not None or self.form is not None


FetchToken = Callable[[TokenQuestion], dict[str, Any]]
"""Asks a token service and returns its JSON answer."""


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: float


class Authorizer:
    """Knows how one registry wants to be asked, and holds the tokens that it gave.

    Args:
        login: says who asks for a repository; None for an anonymous user. It is called only when a registry asks.
        fetch_token: asks a token service.
    """

    def __init__(self, login: Callable[[str], Login | None], fetch_token: FetchToken) -> None:
        self._login = login
        self._fetch_token = fetch_token
        self._challenge: Challenge | None = None
        self._tokens: dict[_Key, _Token] = {}
        self._locks: defaultdict[_Key, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._refresh_tokens: dict[IdentityToken, str] = {}  # what the token service gave in place of the first ones
        self._refreshing = threading.Lock()

    @property
    def was_asked(self) -> bool:
        """Whether the registry has asked who is there."""
        return self._challenge is not None

    def has_login(self, scopes: Scopes) -> bool:
        """Whether a request with `scopes` says who asks; not before the registry has been heard."""
        return self._challenge is not None and self._login(_repository(scopes)) is not None

    def header(self, scopes: Scopes) -> str | None:
        """The header for a request with `scopes`; None until the registry has been heard."""
        challenge = self._challenge
        if challenge is None:
            return None
        login = self._login(_repository(scopes))
        if challenge.scheme == "basic":
            return login.basic if isinstance(login, Credentials) else None
        return f"Bearer {self._token(challenge, scopes, login)}"

    def answer(self, header: str, scopes: Scopes, url: str, sent: str | None = None) -> str:
        """The header that answers a 401's `WWW-Authenticate`; `sent` is the one that was not good enough.

        A token that the registry no longer takes is replaced before its time, unless it only lacked a permission.

        Raises:
            AuthFailed: the challenge cannot be met, or what it asks for was refused.
        """
        challenges = parse_challenges(header)
        login = self._login(_repository(scopes))
        if bearer := challenges.get("bearer"):
            wanted = frozenset(bearer.parameters.get("scope", "").split()) or scopes
            stale = sent if bearer.parameters.get("error") != "insufficient_scope" else None
            token = self._token(bearer, wanted, login, stale)
            self._challenge = bearer
            return f"Bearer {token}"
        if basic := challenges.get("basic"):
            if not isinstance(login, Credentials):
                raise AuthFailed(
                    f"{without_secrets(url)} wants a user name and password"
                    + (", and what was found is a token" if login else ""),
                    401,
                    url=without_secrets(url),
                    next_step="Log in with `docker login`, or pass username=… and password=….",
                )
            self._challenge = basic
            return login.basic
        asked = plain(", ".join(challenges), 200) or "nothing known"
        raise AuthFailed(
            f"{without_secrets(url)} asks for {asked}; regscope knows Basic and Bearer",
            401,
            url=without_secrets(url),
            next_step="Ask whoever runs the registry for a way in that docker knows as well.",
        )

    def refused(self, url: str, scopes: Scopes, had_token: bool, header: str = "") -> AuthFailed | PermissionDeny:
        """The error for a request that is still refused, by `header`, with what answered its challenge."""
        who = "these credentials" if self._login(_repository(scopes)) else "an anonymous user"
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

    def _token(self, challenge: Challenge, scopes: Scopes, login: Login | None, stale: str | None = None) -> str:
        if isinstance(login, RegistryToken):
            return login.value
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        key = (realm, service, scopes, login)
        with self._lock:
            lock = self._locks[key]
        with lock:  # one asks, the others wait for the same token; those who need another do not
            token = self._tokens.get(key)
            if token is None or time.monotonic() >= token.renew_at or f"Bearer {token.value}" == stale:
                token = self._tokens[key] = self._ask(realm, service, scopes, login)
        return token.value

    def _ask(self, realm: str, service: str, scopes: Scopes, login: Login | None) -> _Token:
        asked_at = time.monotonic()
        if isinstance(login, IdentityToken):
            answer = self._refresh(realm, service, scopes, login)
        else:
            query: dict[str, str | list[str]] = {"service": service} if service else {}
            if scopes:
                query["scope"] = sorted(scopes)
            basic = login.basic if isinstance(login, Credentials) else None
            answer = self._fetch_token(TokenQuestion(realm, query, basic))
        value = answer.get("token") or answer.get("access_token")
        if not is_bearer_token(value):
            shown = without_secrets(realm)
            raise AuthFailed(
                f"the token service {shown} gave no token",
                401,
                url=shown,
                next_step="Report it to whoever runs the registry.",
            )
        return _Token(value, asked_at + _lifetime(answer.get("expires_in")) * _RENEW_BEFORE)

    def _refresh(self, realm: str, service: str, scopes: Scopes, identity: IdentityToken) -> dict[str, Any]:
        with self._refreshing:  # a service may take each refresh token only once, and give the next with its answer
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "scope": " ".join(sorted(scopes)),
                "client_id": _CLIENT_ID,
                "refresh_token": self._refresh_tokens.get(identity, identity.value),
            }
            answer = self._fetch_token(TokenQuestion(realm, form={name: said for name, said in form.items() if said}))
            if isinstance(replaced := answer.get("refresh_token"), str) and replaced:
                self._refresh_tokens[identity] = replaced
        return answer


def _repository(scopes: Scopes) -> str:
    """The repository that `scopes` are about; empty where they are about none, or several."""
    names = {scope.partition(":")[2].rpartition(":")[0] for scope in scopes if scope.startswith("repository:")}
    return names.pop() if len(names) == 1 else ""


def _lifetime(stated: object) -> float:
    usable = isinstance(stated, int | float) and not isinstance(stated, bool) and stated > 0
    return float(stated) if usable else _DEFAULT_LIFETIME  # type: ignore[arg-type]
