"""The client of one registry: the one path that every request takes.

Authentication, scopes, retries, `Retry-After`, redirects and errors are handled here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import quote, urlencode

import requests

from regscope.errors import AuthFailed, RequestError
from regscope.registry.auth import Authorizer, TokenQuestion
from regscope.registry.authenticator import Authenticator, CustomAuthorizer
from regscope.registry.connections import Connections
from regscope.registry.credentials import Keychain, login_from
from regscope.registry.endpoint import OFFICIAL_ENDPOINT, APIEndpoint, full_name, is_docker_hub
from regscope.registry.origin import check_hop, is_loopback, origin, same_origin, without_secrets
from regscope.registry.outgoing import Payload, is_repeatable
from regscope.registry.responses import discard, error_from, read_json
from regscope.registry.retrying import Patience
from regscope.registry.scopes import scopes_of
from regscope.registry.server_warnings import ServerWarnings
from regscope.registry.tls import ClientCertificate
from regscope.registry.transport import Transport
from regscope.spec.rate_limit import RateLimit, parse_rate_limit

Timeout: TypeAlias = float | tuple[float, float] | None
"""Seconds: for everything, or for connecting and for each read."""

AskTimeout: TypeAlias = Timeout | Literal["default"]
"""A timeout of its own, or the client's."""

DEFAULT_POOL_SIZE = 64
_PLAIN = re.compile(r"[A-Za-z0-9._/:@-]*")
_TOKEN_LIMIT = 2**20


class DockerRegistryV2Client:
    """A client of the Docker Registry HTTP API V2 and the OCI distribution API.

    Args:
        api_base_url: scheme, host and port, such as `https://registry.example.com`; with a path where it is below one.
        username, password: credentials for the registry and its token service; they go nowhere else.
        keychain: where they are found if none are given, for the registry or for single repositories.
        verify_certificate: True, False, or the path of a certificate authority's PEM file.
        authenticator_class: answers a registry that asks who is there; regscope's own ways by default.
        default_timeout: seconds for a request, or a pair for connecting and for each read.
        auth_timeout: the same for the token service.
        insecure: allow credentials over plain HTTP or unverified TLS to a host other than this machine.
        pool_size: connections kept open; as many as there are threads.
        client_certificate: a PEM file, or one with the certificate and one with its key, for servers that want one.
        concurrency: requests at once to each host; no limit by default.
        rate: requests a second to each host; no limit by default.
        patience: how often a request is sent again, and how long is waited before.

    Attributes:
        rate_limit: what the registry's latest answer said of its quota; None where it said nothing.
    """

    @classmethod
    def from_api_endpoint(
        cls,
        api_endpoint: APIEndpoint = OFFICIAL_ENDPOINT,
        username: str | None = None,
        password: str | None = None,
        authenticator_class: type[Authenticator] | None = None,
        default_timeout: Timeout = (10, 60),
        https_detect_timeout: float | None = 10,
        auth_timeout: Timeout = 30,
        *,
        verify_certificate: bool | str | None = None,
        **options: Any,
    ) -> DockerRegistryV2Client:
        """A client of `api_endpoint`, which is asked whether it speaks TLS if its address does not say so.

        Args:
            https_detect_timeout: seconds for that question.
            verify_certificate: by default it is, unless that question has shown that it is not valid; credentials are
                then sent to this machine alone, if `insecure` does not allow more.
            options: the others of the constructor.
        """
        speaks_tls, is_valid = api_endpoint.is_secure_repository(timeout=https_detect_timeout)
        if verify_certificate is None:
            verify_certificate = is_valid or not speaks_tls
        return cls(
            api_endpoint.base_url,
            username,
            password,
            verify_certificate,
            authenticator_class,
            default_timeout,
            auth_timeout,
            **options,
        )

    def __init__(
        self,
        api_base_url: str,
        username: str | None = None,
        password: str | None = None,
        verify_certificate: bool | str = True,
        authenticator_class: type[Authenticator] | None = None,
        default_timeout: Timeout = (10, 60),
        auth_timeout: Timeout = 30,
        *,
        keychain: Keychain | None = None,
        insecure: bool = False,
        pool_size: int = DEFAULT_POOL_SIZE,
        client_certificate: ClientCertificate | None = None,
        concurrency: int | None = None,
        rate: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.api_base_url = api_base_url.rstrip("/")
        given = login_from(username, password or "") if username else None
        self.keychain = Keychain.of(given) if given else keychain or Keychain()
        self.verify_certificate = verify_certificate
        self.authenticator_class = authenticator_class
        self.default_timeout = default_timeout
        self.auth_timeout = auth_timeout
        self.insecure = insecure
        self.pool_size = pool_size
        self.client_certificate = client_certificate
        self.concurrency = concurrency
        self.rate = rate
        self.patience = patience or Patience()
        self.rate_limit: RateLimit | None = None
        self.has_referrers_api: bool | None = None  # not known before it was asked
        self.wants_chunks = False  # as far as is known: found out by an upload that was too large for one PATCH
        self._connect()

    def _connect(self) -> None:
        self._at_hub = is_docker_hub(self.api_base_url)
        self._authorizer: Authorizer | CustomAuthorizer
        if self.authenticator_class is None:
            self._authorizer = Authorizer(self.keychain.login, self._fetch_token)
        else:
            self._authorizer = CustomAuthorizer(self.authenticator_class, self.keychain.login(""), self.auth_timeout)
        self._warnings = ServerWarnings()
        connections = Connections(
            self.api_base_url, self.pool_size, verify=self.verify_certificate, certificate=self.client_certificate
        )
        self._transport = Transport(self.api_base_url, connections, self.patience, self.concurrency, self.rate)

    def close(self) -> None:
        """Close the connections that are kept open; the next request makes new ones."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # Connections, locks and tokens stay behind; another process makes its own.
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connect()

    def __repr__(self) -> str:
        return f"DockerRegistryV2Client({without_secrets(self.api_base_url)!r})"

    def url(self, *path: str) -> str:
        """The URL of an API path under `/v2/`; its parts are quoted. One of several parts is a repository's first."""
        if self._at_hub and len(path) > 1:
            path = (full_name(self.api_base_url, path[0]), *path[1:])
        return f"{self.api_base_url}/v2/" + "/".join(
            [part if _PLAIN.fullmatch(part) else quote(part, safe="/:@") for part in path]
        )

    @property
    def counts_pulls(self) -> bool:
        """Whether the registry has spoken of a quota; Docker Hub has one even before it was asked."""
        return self.rate_limit is not None or self._at_hub

    def ping(self) -> bool:
        """Whether the registry answers, and these credentials are good enough to be answered (`GET /v2/`)."""
        try:
            discard(self.get(self.url()))
        except RequestError:
            return False
        return True

    def get(self, url: str, **options: Any) -> requests.Response:
        """GET; the options are those of `request`."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Any) -> requests.Response:
        """HEAD; the options are those of `request`."""
        return self.request("HEAD", url, **options)

    def put(self, url: str, **options: Any) -> requests.Response:
        """PUT; the options are those of `request`."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> requests.Response:
        """PATCH; the options are those of `request`."""
        return self.request("PATCH", url, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        """POST; the options are those of `request`."""
        return self.request("POST", url, **options)

    def delete(self, url: str, **options: Any) -> requests.Response:
        """DELETE; the options are those of `request`."""
        return self.request("DELETE", url, **options)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        data: Payload | None = None,
        timeout: AskTimeout = "default",
    ) -> requests.Response:
        """Send a request and return the answer, its body still unread.

        Args:
            data: the request's body; one that cannot be begun again is sent once only.

        Raises:
            RequestError: or one of its kinds, for no answer and for every answer from 400 up.
        """
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, doseq=True)
        seconds = _pair(self.default_timeout if timeout == "default" else timeout)
        header = self._authorization(method, url) if self._authorizer.was_asked else None
        response = self._transport.send(method, url, _with(headers, header), seconds, data)
        if response.status_code == 401 and is_repeatable(data) and same_origin(response.url, self.api_base_url):
            scopes = scopes_of(method, url, self.api_base_url)
            challenge = response.headers.get("WWW-Authenticate", "")
            discard(response)
            answer = self._authorizer.answer(challenge, scopes, url, header)
            if self._authorizer.has_login(scopes):
                self._refuse_to_leak(url)
            if answer != header:
                header = answer
                response = self._transport.send(method, url, _with(headers, header), seconds, data)
        if (limit := parse_rate_limit(response.headers)) is not None:
            self.rate_limit = limit
        if (warning := response.headers.get("Warning")) and same_origin(response.url, self.api_base_url):
            self._warnings.show(warning, self.api_base_url)
        if response.status_code == 401:
            challenge = response.headers.get("WWW-Authenticate", "")
            discard(response)
            had_token = bool(header and header.startswith("Bearer"))
            raise self._authorizer.refused(url, scopes_of(method, url, self.api_base_url), had_token, challenge)
        if response.status_code >= 400:
            raise error_from(response)
        return response

    def _fetch_token(self, question: TokenQuestion) -> dict[str, Any]:
        realm = question.realm
        if not origin(realm)[1]:
            raise AuthFailed(
                f"the registry names no token service that can be asked: {without_secrets(realm) or '(nothing)'}",
                401,
                next_step="Report it to whoever runs the registry.",
            )
        check_hop(self.api_base_url, realm)
        if question.has_secrets:
            self._refuse_to_leak(realm)
        seconds = _pair(self.auth_timeout)
        if question.form is not None:
            form, headers = urlencode(question.form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
            response = self._transport.send("POST", realm, headers, seconds, form)
        else:
            asked = realm + ("&" if "?" in realm else "?") + urlencode(question.query, doseq=True)
            response = self._transport.send("GET", asked, _with(None, question.authorization), seconds)
        if response.status_code in (400, 401, 403):
            error = error_from(response)
            who = "these credentials" if question.has_secrets else "an anonymous user"
            raise AuthFailed(
                f"the token service {without_secrets(realm)} refuses {who}: {error.message.rpartition(': ')[2]}",
                response.status_code,
                code=error.code,
                url=without_secrets(realm),
                next_step="Check the user name and password, or log in with `docker login`.",
            )
        if response.status_code >= 400:
            raise error_from(response)
        return read_json(response, _TOKEN_LIMIT, "a token")

    def _authorization(self, method: str, url: str) -> str | None:
        """The header of a request; None where it must say nothing of who asks."""
        scopes = scopes_of(method, url, self.api_base_url)
        if not same_origin(url, self.api_base_url):
            return None
        if self._authorizer.has_login(scopes) and not self._is_confidential(url):
            return None
        return self._authorizer.header(scopes)

    def _is_confidential(self, url: str) -> bool:
        scheme, host, _ = origin(url)
        return self.insecure or is_loopback(host) or (scheme == "https" and self.verify_certificate is not False)

    def _refuse_to_leak(self, url: str) -> None:
        if not self._is_confidential(url):
            raise AuthFailed(
                f"credentials are not sent to {without_secrets(url)}: the connection is not private",
                401,
                url=without_secrets(url),
                next_step="Use https with a valid certificate, or allow it for this host (insecure).",
            )


def _with(headers: Mapping[str, str] | None, authorization: str | None) -> dict[str, str]:
    return {**(headers or {}), **({"Authorization": authorization} if authorization else {})}


def _pair(timeout: Timeout) -> tuple[float | None, float | None]:
    return timeout if isinstance(timeout, tuple) else (timeout, timeout)
