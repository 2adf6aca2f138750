"""Tokens of a registry's token service (distribution, docs/spec/auth/token.md and oauth.md).

A token is used for one service, one login and one set of scopes until shortly before it expires. A refused request is
not repeated for a while, and which form of scopes the service understands is found out once.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from regscope.errors import AuthFailed, RequestError
from regscope.registry.credentials import Credentials, IdentityToken, Login, RegistryToken, is_bearer_token
from regscope.registry.origin import without_secrets
from regscope.registry.recent_failures import RecentFailures
from regscope.registry.scopes import NO_SCOPES, Asked, Need, Scopes
from regscope.registry.token_fetcher import TokenQuestion

_DEFAULT_LIFETIME = 60.0  # seconds, where the token service names none
_LONGEST_LIFETIME = 86400.0  # seconds for which a token is used at least, whatever the service states
_RENEW_BEFORE = 0.8  # of the lifetime, so that the token is valid until the end of a long answer
_REFUSED_FOR = 10.0  # seconds for which a token that lacked a permission is not replaced
_NOT_UNDERSTOOD = {400, 422}
_NOT_GRANTED = {401, 403}

_CLIENT_ID = "regscope"


class TokenService(NamedTuple):
    """The token service that a Bearer challenge names: its address, and the registry's name there (`service`)."""

    realm: str
    service: str

    @classmethod
    def named_by(cls, parameters: Mapping[str, str]) -> TokenService:
        """The service that the parameters of a challenge name."""
        return cls(parameters.get("realm", ""), parameters.get("service", ""))


_Key = tuple[TokenService, Scopes, Login | None]


FetchToken = Callable[[TokenQuestion], dict[str, Any]]
"""Asks a token service and returns its JSON answer."""


@dataclass(slots=True)
class _Token:
    value: str
    asked_at: float
    renew_at: float
    refused_at: float = -_REFUSED_FOR


class Tokens:
    """The tokens of one client.

    Args:
        fetch: sends a request to a token service.
    """

    def __init__(self, fetch: FetchToken) -> None:
        self._fetch = fetch
        self._held: dict[_Key, _Token] = {}
        self._locks: defaultdict[_Key, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._refusals: RecentFailures[_Key] = RecentFailures()
        self._outages: RecentFailures[str] = RecentFailures()  # by realm
        self._named: dict[Need, Scopes] = {}  # the scopes to request, where they are not those of `Need`
        self._actions: dict[str, str] = {}  # the actions to request on any repository; empty for no scope
        self._refresh_tokens: dict[IdentityToken, str] = {}  # given by the service in place of the first ones
        self._refreshing = threading.Lock()

    def get(self, service: TokenService, need: Need, login: Login | None) -> str:
        """The token for a request; where the service refuses its scopes, one without scopes.

        Raises:
            AuthFailed: the service refuses the credentials, or gives no token.
            RequestError: the service failed.
        """
        if isinstance(login, RegistryToken):
            return login.value
        scopes = self._scopes(need)
        try:
            return self._token((service, scopes, login))
        except AuthFailed as error:
            status = error.status_code
            not_understood = status in _NOT_UNDERSTOOD
            # Without credentials a refusal concerns these scopes only; with credentials the password may be wrong.
            if not scopes or not (not_understood or (login is not None and status in _NOT_GRANTED)):
                raise
            refusal = error
        try:
            token = self._token((service, NO_SCOPES, login))
        except AuthFailed as error:
            raise error if error.status_code == 401 else refusal from None
        self._learn(need, NO_SCOPES, everywhere=not_understood)
        return token

    def hear(self, service: TokenService, said: Mapping[str, str], asked: Asked, login: Login | None) -> bool:
        """Handle the parameters of a request's challenge; return whether there is a token that was not tried for it.

        A token that the registry refuses is replaced before it expires, unless it only lacked a permission.
        """
        need, sent = asked.need, asked.sent
        if isinstance(login, RegistryToken):
            return f"Bearer {login.value}" not in sent
        named = frozenset(said.get("scope", "").split())
        if named and named != self._scopes(need):
            self._learn(need, named, everywhere=asked.has_sent_token)
        key = (service, self._scopes(need), login)
        if self._refusals.get(key) is not None:
            return False
        token = self._held.get(key)
        if token is None or f"Bearer {token.value}" not in sent:
            return True
        now = time.monotonic()
        lacks = said.get("error") == "insufficient_scope"
        if lacks or token.asked_at >= asked.since or now < token.refused_at + _REFUSED_FOR:
            token.refused_at = now
            return False
        with self._lock:
            if self._held.get(key) is token:
                del self._held[key]
        return True

    def are_nobodys(self, service: TokenService, login: Login) -> bool:
        """Whether the service gives these credentials an anonymous token, as some do for a wrong password."""
        if isinstance(login, RegistryToken):
            return False
        own = self._token((service, NO_SCOPES, login))
        try:
            nobodys = self._token((service, NO_SCOPES, None))
        except RequestError:
            return False
        subject = claims(own).get("sub")
        return own == nobodys or (subject is not None and subject == claims(nobodys).get("sub"))

    def _scopes(self, need: Need) -> Scopes:
        found = self._named.get(need)
        if found is None and (actions := self._actions.get(need.actions)) is not None and need.actions:
            found = frozenset({f"repository:{need.repository}:{actions}"}) if actions else NO_SCOPES
        return need.scopes if found is None else found

    def _learn(self, need: Need, scopes: Scopes, everywhere: bool) -> None:
        """Remember the scopes for a need; with `everywhere` for the same actions on other repositories too."""
        self._named[need] = scopes
        own = f"repository:{need.repository}:"
        only = next(iter(scopes)) if len(scopes) == 1 else "" if not scopes else None
        if everywhere and need.actions and only is not None and (not only or only.startswith(own)):
            self._actions[need.actions] = only.removeprefix(own)

    def _token(self, key: _Key) -> str:
        service, _, login = key
        with self._lock:
            lock = self._locks[key]
        with lock:  # one thread requests a token, others that need the same one wait for it
            token = self._held.get(key)
            if token is not None and time.monotonic() < token.renew_at:
                return token.value
            self._outages.check(service.realm)
            self._refusals.check(key)
            if login is not None:  # not even a token without scopes is given
                self._refusals.check((service, NO_SCOPES, login), status=401)
            try:
                token = self._ask(key)
                self._make_sure_of(token, key)
                self._held[key] = token
            except AuthFailed as error:
                self._refusals.keep(key, error)
                raise
            except RequestError as error:
                self._outages.keep(service.realm, error)
                raise
        return token.value

    def _make_sure_of(self, token: _Token, key: _Key) -> None:
        """Refuse an anonymous token (distribution, docs/spec/auth/jwt.md: its `sub` is empty).

        Some services leave out the name for all users; their tokens allow more than an anonymous one.
        """
        service, scopes, login = key
        own = claims(token.value)
        if login is None or own.get("sub") != "":
            return
        try:
            strangers = claims(self._ask((service, scopes, None)).value)
        except AuthFailed:
            return
        if strangers.get("sub") == "" and strangers.get("access") == own.get("access"):
            raise nobodys(service.realm)

    def _ask(self, key: _Key) -> _Token:
        (realm, service), scopes, login = key
        asked_at = time.monotonic()
        if isinstance(login, IdentityToken):
            answer = self._refresh(realm, service, scopes, login)
        else:
            query: dict[str, str | list[str]] = {"service": service} if service else {}
            if scopes:
                query["scope"] = sorted(scopes)
            basic = login.basic if isinstance(login, Credentials) else None
            answer = self._fetch(TokenQuestion(realm, query, basic))
        value = answer.get("token") or answer.get("access_token")
        if not is_bearer_token(value):
            shown = without_secrets(realm)
            raise AuthFailed(
                f"the token service {shown} gave no token",
                401,
                url=shown,
                next_step="Report it to whoever runs the registry.",
            )
        return _Token(value, asked_at, asked_at + _lifetime(answer.get("expires_in")) * _RENEW_BEFORE)

    def _refresh(self, realm: str, service: str, scopes: Scopes, identity: IdentityToken) -> dict[str, Any]:
        with self._refreshing:  # a service may accept each refresh token only once, and return the next one
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "scope": " ".join(sorted(scopes)),
                "client_id": _CLIENT_ID,
                "refresh_token": self._refresh_tokens.get(identity, identity.value),
            }
            answer = self._fetch(TokenQuestion(realm, form={name: said for name, said in form.items() if said}))
            if isinstance(replaced := answer.get("refresh_token"), str) and replaced:
                self._refresh_tokens[identity] = replaced
        return answer


def nobodys(realm: str) -> AuthFailed:
    """The error for credentials that a token service treats as anonymous."""
    shown = without_secrets(realm)
    return AuthFailed(
        f"the token service {shown} refuses these credentials: it gives them the token that it gives to nobody",
        401,
        url=shown,
        next_step="Check the user name and password, or log in with `docker login`.",
    )


def claims(token: str) -> dict[str, Any]:
    """The claims of a JSON web token (RFC 7519), not verified; empty for another kind of token."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (LookupError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _lifetime(stated: object) -> float:
    """The lifetime in seconds; some services send it as a string, some an absurdly large number."""
    try:
        seconds = float(stated) if isinstance(stated, int | float | str) and not isinstance(stated, bool) else 0.0
    except ValueError:
        seconds = 0.0
    except OverflowError:  # accepts whole numbers only
        seconds = _LONGEST_LIFETIME if stated > 0 else 0.0  # type: ignore[operator]
    return min(seconds, _LONGEST_LIFETIME) if seconds > 0 else _DEFAULT_LIFETIME
