"""Ways to answer a registry that asks who is there, for `DockerRegistryV2Client(authenticator_class=…)`.

Without one of them the client has its own, which ask for a token once for each scope and renew it in time.
"""

from __future__ import annotations

from functools import cached_property

from regscope.compat.moby.spec.auth import TokenResponse
from regscope.errors import AuthFailed, RequestErrorWithResponse
from regscope.registry.authenticator import AuthorizationProvider
from regscope.registry.challenge import Challenge, parse_challenges
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.credentials import Credentials
from regscope.registry.origin import cut
from regscope.registry.responses import read_json

AUTH_TIMEOUT = 30
"""Seconds for a token service to answer."""

_TOKEN_LIMIT = 2**20
_NEXT_STEP = "Pass username=… and password=…, or log in with `docker login`."

__all__ = [
    "AuthorizationProvider",
    "BaseAuthentication",
    "BasicAuthAuthorizationProvider",
    "DockerRegistryTokenAuthentication",
    "HTTPBasicAuthentication",
    "TokenAuthorizationProvider",
    "UniversalAuthentication",
]


class BasicAuthAuthorizationProvider:
    """Provides a user's name and password (RFC 7617)."""

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self.password = password

    def provide(self) -> str:
        """The value of the `Authorization` header."""
        return Credentials(self.username, self.password).basic


class TokenAuthorizationProvider:
    """Provides the token that a token service gave."""

    def __init__(self, token_response: TokenResponse, token_type: str = "Bearer") -> None:
        self.token_response = token_response
        self.token_type = token_type

    def provide(self) -> str:
        """The value of the `Authorization` header.

        Raises:
            AuthFailed: the service gave no token.
        """
        token = self.token_response.token or self.token_response.access_token
        if not token:
            raise AuthFailed("the token service gave no token", 401, next_step="Report it to whoever runs it.")
        return f"{self.token_type} {token}"


class BaseAuthentication:
    """An answer to one challenge; a class of one's own has an `authenticate` of its own.

    Args:
        www_authenticate: the header of the registry's 401.
    """

    def __init__(self, www_authenticate: str) -> None:
        self.raw_www_authenticate = www_authenticate

    @cached_property
    def www_authenticate(self) -> dict[str, Challenge]:
        """The challenges, by their schemes in lower case.

        Raises:
            AuthFailed: the header cannot be read.
        """
        return parse_challenges(self.raw_www_authenticate)

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: AskTimeout = AUTH_TIMEOUT
    ) -> AuthorizationProvider:
        """What says who asks. `timeout` is in seconds.

        Raises:
            AuthFailed: it was refused, or something is missing.
        """
        raise NotImplementedError


class HTTPBasicAuthentication(BaseAuthentication):
    """Answers with the user's name and password."""

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: AskTimeout = AUTH_TIMEOUT
    ) -> BasicAuthAuthorizationProvider:
        """Asks nobody.

        Raises:
            AuthFailed: one of the two is missing.
        """
        if username is None or password is None:
            raise AuthFailed("the registry wants a user name and a password", 401, next_step=_NEXT_STEP)
        return BasicAuthAuthorizationProvider(username, password)


class DockerRegistryTokenAuthentication(BaseAuthentication):
    """Answers with a token of the service that the challenge names (distribution, docs/spec/auth/token.md).

    Attributes:
        backend: the service's address.
        service, scope: what it is asked for; `scope` is None where the challenge names none.

    Raises:
        AuthFailed: the challenge names no token service.
    """

    def __init__(self, www_authenticate: str, offline_token: bool = True) -> None:
        super().__init__(www_authenticate)
        self.offline_token = offline_token
        self.bearer = self.www_authenticate["bearer"].parameters if "bearer" in self.www_authenticate else {}
        if "realm" not in self.bearer or "service" not in self.bearer:
            raise AuthFailed("the challenge names no token service", 401, next_step="Use HTTPBasicAuthentication.")
        self.backend = self.bearer["realm"]
        self.service = self.bearer["service"]
        self.scope = self.bearer.get("scope")

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: AskTimeout = AUTH_TIMEOUT
    ) -> TokenAuthorizationProvider:
        """Asks the service, anonymously unless both name and password are given.

        Raises:
            AuthFailed: the service refuses, or the connection to it is not private.
            RequestError: it fails.
        """
        asked = {
            "service": self.service,
            "scope": self.scope,
            "client_id": username or "anonymous",
            "offline_token": str(self.offline_token).lower(),
        }
        params = {name: value for name, value in asked.items() if value is not None}
        headers = {"Authorization": Credentials(username, password).basic} if username and password else {}
        with DockerRegistryV2Client(cut(self.backend)[0]) as client:
            try:
                answer = client.request("GET", self.backend, params=params, headers=headers, timeout=timeout)
            except AuthFailed:
                raise
            except RequestErrorWithResponse as error:
                raise AuthFailed(
                    f"the token service gives no token: {error.message}",
                    error.status_code,
                    error.response,
                    url=error.url,
                    next_step="Check the user name, the password and their permissions.",
                ) from None
            return TokenAuthorizationProvider(TokenResponse.model_validate(read_json(answer, _TOKEN_LIMIT, "a token")))


class UniversalAuthentication(BaseAuthentication):
    """Answers as the challenge wants it: by Basic where it names that, else by a token."""

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: AskTimeout = AUTH_TIMEOUT
    ) -> AuthorizationProvider:
        """See `HTTPBasicAuthentication` and `DockerRegistryTokenAuthentication`."""
        kind = HTTPBasicAuthentication if "basic" in self.www_authenticate else DockerRegistryTokenAuthentication
        return kind(self.raw_www_authenticate).authenticate(username, password, timeout=timeout)
