"""Credentials for a registry and its token service."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeGuard

TOKEN_USER = "<token>"
"""The user name under which docker files an identity token."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password; neither shows in a repr."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(frozen=True, slots=True)
class IdentityToken:
    """An OAuth2 refresh token, which a token service accepts in place of a password."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RegistryToken:
    """A bearer token that is sent to the registry unchanged; see `is_bearer_token`."""

    value: str = field(repr=False)


Login: TypeAlias = Credentials | IdentityToken | RegistryToken
"""One way to say who asks."""


class LoginSource(Protocol):
    """A place where logins for one registry are stored."""

    def login(self, repository: str) -> Login | None:
        """The login for `repository`, for the registry as a whole where that is empty; None where there is none."""

    def renew(self, refused: Login) -> bool:
        """Called after the registry has refused a login: whether this is its source, and has another one now."""


@dataclass(frozen=True)
class SavedLogins:
    """Logins in memory, by repository path; the empty path stands for the whole registry."""

    by_path: dict[str, Login] = field(repr=False)

    def login(self, repository: str) -> Login | None:
        """The login with the longest path that is `repository` or above it."""
        path = repository
        while path not in self.by_path and path:
            path = path.rpartition("/")[0]
        return self.by_path.get(path)

    def renew(self, refused: Login) -> bool:
        """False: what is saved stays as it is."""
        return False


class Keychain:
    """All logins for one registry: the first of `sources` that has one for a repository counts."""

    def __init__(self, sources: Iterable[LoginSource] = ()) -> None:
        self._sources = tuple(sources)

    @classmethod
    def of(cls, login: Login | None) -> Keychain:
        """A keychain with one login for all repositories, or with none."""
        return cls([SavedLogins({"": login})] if login else [])

    def login(self, repository: str = "") -> Login | None:
        """The login for `repository`, for the registry as a whole by default; None where there is none.

        Raises:
            RegscopeError: a credential helper failed.
        """
        return next((found for source in self._sources if (found := source.login(repository))), None)

    def before(self, sources: Iterable[LoginSource]) -> Keychain:
        """A keychain with further sources, which are asked after those of this one."""
        return Keychain((*self._sources, *sources))

    def renew(self, refused: Login) -> bool:
        """Whether one of the sources has another login in place of one that the registry has refused."""
        return any(source.renew(refused) for source in self._sources)

    def login_at_hand(self, repository: str = "") -> Login | None:
        """As `login`, but None where a credential helper would have to be asked for it."""
        for source in self._sources:
            if not isinstance(source, SavedLogins):
                return None
            if found := source.login(repository):
                return found
        return None

    def __bool__(self) -> bool:
        """Whether there is any source; a credential helper may still have no login."""
        return bool(self._sources)

    def __repr__(self) -> str:
        return f"Keychain({', '.join(map(repr, self._sources))})"


def login_from(username: str, secret: str) -> Login:
    """The login that a user name and its secret stand for, as docker stores them."""
    return IdentityToken(secret) if username == TOKEN_USER else Credentials(username, secret)


def is_bearer_token(value: object) -> TypeGuard[str]:
    """Whether `value` can stand in an `Authorization` header (RFC 6750, 2.1)."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable() and " " not in value
