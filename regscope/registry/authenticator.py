"""A way of one's own to answer a registry that asks who is there."""

from __future__ import annotations

from typing import Protocol

from regscope.errors import AuthFailed, PermissionDeny
from regscope.registry.credentials import Credentials, Login
from regscope.registry.origin import without_secrets
from regscope.registry.scopes import Scopes


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
    """Answers by an `Authenticator` in place of Basic and Bearer; what it provides serves all requests."""

    def __init__(self, authenticator: type[Authenticator], login: Login | None, timeout: object) -> None:
        self._authenticator = authenticator
        self._login = login
        self._timeout = timeout
        self._provider: AuthorizationProvider | None = None

    @property
    def was_asked(self) -> bool:
        """Whether the registry has asked who is there."""
        return self._provider is not None

    def has_login(self, scopes: Scopes) -> bool:
        """Whether a request says who asks."""
        return self._login is not None

    def header(self, scopes: Scopes) -> str | None:
        """The header for a request; None until the registry has asked."""
        return self._provider.provide() if self._provider is not None else None

    def answer(self, header: str, scopes: Scopes, url: str, sent: str | None = None) -> str:
        """The header that answers a 401."""
        named = self._login if isinstance(self._login, Credentials) else None
        username, password = (named.username, named.password) if named else (None, None)
        self._provider = self._authenticator(header).authenticate(username, password, timeout=self._timeout)
        return self._provider.provide()

    def refused(self, url: str, scopes: Scopes, had_token: bool, header: str = "") -> AuthFailed | PermissionDeny:
        """The error for a request that is still refused."""
        shown = without_secrets(url)
        return PermissionDeny(
            f"{shown} refuses what {self._authenticator.__name__} provided",
            401,
            url=shown,
            next_step="Check the user name, the password and their permissions.",
        )
