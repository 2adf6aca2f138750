"""A way of one's own to answer a registry that asks who is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from regscope.errors import AuthFailed, PermissionDeny
from regscope.registry.credentials import Credentials, Login
from regscope.registry.origin import without_secrets
from regscope.registry.scopes import Asked


class AuthorizationProvider(Protocol):
    """What an authentication gave."""

    def provide(self) -> str:
        """The value of the `Authorization` header."""


class Authenticator(Protocol):
    """A class that is made with the `WWW-Authenticate` header of a 401, and answers it."""

    def __init__(self, www_authenticate: str) -> None: ...

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: object = None
    ) -> AuthorizationProvider:
        """Ask whoever the header names; AuthFailed where that fails."""


class CustomAuthorizer:
    """Answers by an `Authenticator` in place of Basic and Bearer; what it provides serves all requests.

    Args:
        authenticator: made anew for each challenge.
        login: what it is given.
        timeout: as the client's `auth_timeout`.
        guard: refuses an address that no login may be sent to.
    """

    def __init__(
        self, authenticator: type[Authenticator], login: Login | None, timeout: object, guard: Callable[[str], None]
    ) -> None:
        self._authenticator = authenticator
        self._login = login
        self._timeout = timeout
        self._guard = guard
        self._provider: AuthorizationProvider | None = None

    def header(self, asked: Asked) -> str | None:
        """The header for a request; None until the registry has asked."""
        if self._provider is None:
            return None
        if self._login is not None:
            self._guard(asked.url)
        return self._provider.provide()

    def hear(self, challenge: str, asked: Asked) -> bool:
        """Answer a 401, once for each request; whether that gave a header that was not sent yet."""
        if len(asked.sent) > 1:
            return False
        named = self._login if isinstance(self._login, Credentials) else None
        username, password = (named.username, named.password) if named else (None, None)
        self._provider = self._authenticator(challenge).authenticate(username, password, timeout=self._timeout)
        return self._provider.provide() not in asked.sent

    def overhear(self, challenge: str, asked: Asked) -> bool:
        """Nothing is done about an answer that was given."""
        return False

    def accepted(self, asked: Asked) -> None:
        """There is nothing to remember."""

    def refused(self, challenge: str, asked: Asked) -> AuthFailed | PermissionDeny:
        """The error for a request that is still refused."""
        shown = without_secrets(asked.url)
        return PermissionDeny(
            f"{shown} refuses what {self._authenticator.__name__} provided",
            401,
            url=shown,
            next_step="Check the user name, the password and their permissions.",
        )
