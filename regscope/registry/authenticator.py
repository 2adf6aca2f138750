"""Authentication by a class of the user's own, in place of Basic and Bearer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from regscope.errors import AuthFailed, PermissionDeny
from regscope.registry.credentials import Credentials, Login
from regscope.registry.origin import without_secrets
from regscope.registry.scopes import Asked


class AuthorizationProvider(Protocol):
    """The result of an authentication."""

    def provide(self) -> str:
        """The value of the `Authorization` header."""


class Authenticator(Protocol):
    """A class whose constructor takes the `WWW-Authenticate` header of a 401, and which answers that challenge."""

    def __init__(self, www_authenticate: str) -> None: ...

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: object = None
    ) -> AuthorizationProvider:
        """Answer the challenge; AuthFailed where that fails."""


class CustomAuthorizer:
    """Answers challenges by an `Authenticator` in place of Basic and Bearer; its result is used for all requests.

    Args:
        authenticator: instantiated for each challenge.
        login: passed to its `authenticate`.
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
        """The `Authorization` header for a request; None before the first challenge."""
        if self._provider is None:
            return None
        if self._login is not None:
            self._guard(asked.url)
        return self._provider.provide()

    def hear(self, challenge: str, asked: Asked) -> bool:
        """Answer a 401, once for each request; return whether that gave a header that was not sent yet."""
        if len(asked.sent) > 1:
            return False
        named = self._login if isinstance(self._login, Credentials) else None
        username, password = (named.username, named.password) if named else (None, None)
        self._provider = self._authenticator(challenge).authenticate(username, password, timeout=self._timeout)
        return self._provider.provide() not in asked.sent

    def overhear(self, challenge: str, asked: Asked) -> bool:
        """False: a challenge in a successful answer is ignored."""
        return False

    def accepted(self, asked: Asked) -> None:
        """Does nothing: one header serves all requests."""

    def refused(self, challenge: str, asked: Asked) -> AuthFailed | PermissionDeny:
        """The error for a request that is still refused."""
        shown = without_secrets(asked.url)
        return PermissionDeny(
            f"{shown} refuses what {self._authenticator.__name__} provided",
            401,
            url=shown,
            next_step="Check the user name, the password and their permissions.",
        )
