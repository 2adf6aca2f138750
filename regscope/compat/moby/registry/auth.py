"""Classes that answer a registry's challenge, for `DockerRegistryV2Client(authenticator_class=…)`.

Without one of them the client uses Basic or Bearer as the challenge asks, with one token for each scope, renewed in
time.
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
"""The timeout (seconds) of a token service."""

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
    """Provides a user name and a password as an `Authorization` header (Basic, RFC 7617)."""

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self.password = password

    def provide(self) -> str:
        """The value of the `Authorization` header."""
        return Credentials(self.username, self.password).basic


class TokenAuthorizationProvider:
    """Provides the token of a token service as an `Authorization` header."""

    def __init__(self, token_response: TokenResponse, token_type: str = "Bearer") -> None:
        self.token_response = token_response
        self.token_type = token_type

    def provide(self) -> str:
        """The value of the `Authorization` header.

        Raises:
            AuthFailed: the response of the service has no token.
        """
        token = self.token_response.token or self.token_response.access_token
        if not token:
            raise AuthFailed(
                "the response of the token service has no token",
                401,
                next_step="Report this to the registry's administrator.",
            )
        return f"{self.token_type} {token}"


class BaseAuthentication:
    """Base of classes that answer one challenge; a subclass implements `authenticate`.

    Args:
        www_authenticate: the `WWW-Authenticate` header of the registry's 401.
    """

    def __init__(self, www_authenticate: str) -> None:
        self.raw_www_authenticate = www_authenticate

    @cached_property
    def www_authenticate(self) -> dict[str, Challenge]:
        """The challenges, by their schemes in lower case.

        Raises:
            AuthFailed: the header is invalid.
        """
        return parse_challenges(self.raw_www_authenticate)

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: AskTimeout = AUTH_TIMEOUT
    ) -> AuthorizationProvider:
        """The answer to the challenge. `timeout` is in seconds.

        Raises:
            AuthFailed: the credentials were refused, or are incomplete.
        """
        raise NotImplementedError


class HTTPBasicAuthentication(BaseAuthentication):
    """Answers a challenge with a user name and a password (Basic)."""

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: AskTimeout = AUTH_TIMEOUT
    ) -> BasicAuthAuthorizationProvider:
        """The header for user name and password; nothing is sent.

        Raises:
            AuthFailed: the user name or the password is missing.
        """
        if username is None or password is None:
            raise AuthFailed("the registry requires a user name and a password", 401, next_step=_NEXT_STEP)
        return BasicAuthAuthorizationProvider(username, password)


class DockerRegistryTokenAuthentication(BaseAuthentication):
    """Answers a challenge with a token of the service that it names (distribution, docs/spec/auth/token.md).

    Attributes:
        backend: the address of the token service.
        service, scope: the parameters of the token request; `scope` is None where the challenge names none.

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
        """Request a token, anonymously unless both user name and password are given. `timeout` is in seconds.

        Raises:
            AuthFailed: the token service refused the credentials, or the connection to it is not private.
            RequestError: the token service failed.
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
                    f"the token service refused a token: {error.message}",
                    error.status_code,
                    error.response,
                    url=error.url,
                    next_step="Check the user name, the password and their permissions.",
                ) from None
            return TokenAuthorizationProvider(TokenResponse.model_validate(read_json(answer, _TOKEN_LIMIT, "a token")))


class UniversalAuthentication(BaseAuthentication):
    """Answers by Basic where the challenge offers it, otherwise with a token."""

    def authenticate(
        self, username: str | None = None, password: str | None = None, *, timeout: AskTimeout = AUTH_TIMEOUT
    ) -> AuthorizationProvider:
        """See `HTTPBasicAuthentication` and `DockerRegistryTokenAuthentication`."""
        kind = HTTPBasicAuthentication if "basic" in self.www_authenticate else DockerRegistryTokenAuthentication
        return kind(self.raw_www_authenticate).authenticate(username, password, timeout=timeout)
