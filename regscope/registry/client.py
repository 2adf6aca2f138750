"""The client of one registry: the one path that every request takes.

Authentication, scopes, retries, `Retry-After`, redirects and errors are handled here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from regscope.errors import AuthFailed, RequestError, UnsafeRedirect
from regscope.registry.auth import Authorizer, Scopes
from regscope.registry.credentials import Credentials
from regscope.registry.endpoint import OFFICIAL_ENDPOINT, APIEndpoint
from regscope.registry.origin import check_hop, is_loopback, origin, resolved, same_origin, without_secrets
from regscope.registry.responses import connection_error, discard, error_from, read_json
from regscope.version import __version__

Timeout: TypeAlias = float | tuple[float, float] | None
"""Seconds: for everything, or for connecting and for each read."""

AskTimeout: TypeAlias = Timeout | Literal["default"]
"""A timeout of its own, or the client's."""

DEFAULT_POOL_SIZE = 16
_MOST_REDIRECTS = 5
_TOKEN_LIMIT = 2**20
_RETRIED_STATUSES = (429, 500, 502, 503, 504)
_REPOSITORY_PATH = re.compile(r"/v2/(?P<name>.+?)/(?:manifests|blobs|tags|referrers)/")
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


class DockerRegistryV2Client:
    """A client of the Docker Registry HTTP API V2 and the OCI distribution API.

    Args:
        api_base_url: scheme, host and port, such as `https://registry.example.com`.
        username, password: credentials for the registry and its token service; they go nowhere else.
        verify_certificate: True, False, or the path of a certificate authority's PEM file.
        default_timeout: seconds for a request, or a pair for connecting and for each read.
        auth_timeout: the same for the token service.
        insecure: allow credentials over plain HTTP or unverified TLS to a host other than this machine.
        pool_size: connections kept open; as many as there are threads.
    """

    @classmethod
    def from_api_endpoint(
        cls,
        api_endpoint: APIEndpoint = OFFICIAL_ENDPOINT,
        username: str | None = None,
        password: str | None = None,
        **options: Any,
    ) -> DockerRegistryV2Client:
        """A client of `api_endpoint`; `options` are those of the constructor."""
        return cls(api_endpoint.base_url, username, password, **options)

    def __init__(
        self,
        api_base_url: str,
        username: str | None = None,
        password: str | None = None,
        verify_certificate: bool | str = True,
        default_timeout: Timeout = (10, 60),
        auth_timeout: Timeout = 30,
        *,
        insecure: bool = False,
        pool_size: int = DEFAULT_POOL_SIZE,
    ) -> None:
        self.api_base_url = api_base_url.rstrip("/")
        self.credentials = Credentials(username, password or "") if username else None
        self.verify_certificate = verify_certificate
        self.default_timeout = default_timeout
        self.auth_timeout = auth_timeout
        self.insecure = insecure
        self.pool_size = pool_size
        self.has_referrers_api: bool | None = None  # not known before it was asked
        self._connect()

    def _connect(self) -> None:
        # Read once: looking at the environment for each request costs more than the request.
        self._proxies = requests.utils.get_environ_proxies(self.api_base_url)
        self._authorizer = Authorizer(self.credentials, self._fetch_token)
        self.session = _session(self.pool_size)

    def __getstate__(self) -> dict[str, Any]:
        # Connections, locks and tokens stay behind; another process makes its own.
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_") and name != "session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connect()

    def __repr__(self) -> str:
        return f"DockerRegistryV2Client({without_secrets(self.api_base_url)!r})"

    def url(self, *path: str) -> str:
        """The URL of an API path under `/v2/`; its parts are quoted."""
        return f"{self.api_base_url}/v2/" + "/".join(quote(part, safe="/:@") for part in path)

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

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: AskTimeout = "default",
    ) -> requests.Response:
        """Send a request and return the answer, its body still unread.

        Raises:
            RequestError: or one of its kinds, for no answer and for every answer from 400 up.
        """
        scopes = _scopes(method, url)
        header = self._authorizer.header(scopes) if self._credentials_may_go_to(url) else None
        response = self._follow(method, url, _with(headers, header), params, timeout)
        if response.status_code == 401 and same_origin(response.url, self.api_base_url):
            challenge = response.headers.get("WWW-Authenticate", "")
            discard(response)
            answer = self._authorizer.answer(challenge, scopes, url, header)
            self._refuse_to_leak(url)
            if answer != header:
                header = answer
                response = self._follow(method, url, _with(headers, header), params, timeout)
        if response.status_code == 401:
            challenge = response.headers.get("WWW-Authenticate", "")
            discard(response)
            raise self._authorizer.refused(url, bool(header and header.startswith("Bearer")), challenge)
        if response.status_code >= 400:
            raise error_from(response)
        return response

    def _follow(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
        timeout: AskTimeout,
    ) -> requests.Response:
        """Send, and follow redirects; credentials stay behind when the origin changes."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send(method, url, headers, params, timeout)
            location = response.headers.get("Location") if response.is_redirect else None
            if location is None:
                return response
            discard(response)
            target = resolved(response.url, location)
            if not same_origin(target, self.api_base_url):
                check_hop(url, target)
            if not same_origin(target, url):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            url, params = target, None
        raise UnsafeRedirect(
            f"more than {_MOST_REDIRECTS} redirects from {without_secrets(url)}",
            url=without_secrets(url),
            next_step="Ask whoever runs the registry to correct the address that it hands out.",
        )

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
        timeout: AskTimeout,
    ) -> requests.Response:
        prepared = requests.PreparedRequest()
        try:
            prepared.prepare(method=method, url=url, headers={**self.session.headers, **headers}, params=params)
            # Not by session.send, which reads the whole body of a redirect, however long it is.
            return self.session.get_adapter(url).send(
                prepared,
                stream=True,
                timeout=self.default_timeout if timeout == "default" else timeout,
                verify=self.verify_certificate,
                proxies=self._proxies,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise connection_error(error, url) from None

    def _fetch_token(self, realm: str, query: dict[str, str | list[str]], basic: str | None) -> dict[str, Any]:
        if not origin(realm)[1]:
            raise AuthFailed(
                f"the registry names no token service that can be asked: {without_secrets(realm) or '(nothing)'}",
                401,
                next_step="Report it to whoever runs the registry.",
            )
        check_hop(self.api_base_url, realm)
        if basic:
            self._refuse_to_leak(realm)
        headers = {"Authorization": basic} if basic else {}
        response = self._follow("GET", realm, headers, query, self.auth_timeout)
        if response.status_code in (400, 401, 403):
            error = error_from(response)
            who = "these credentials" if basic else "an anonymous user"
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

    def _credentials_may_go_to(self, url: str) -> bool:
        return same_origin(url, self.api_base_url) and (self.credentials is None or self._is_confidential(url))

    def _is_confidential(self, url: str) -> bool:
        scheme, host, _ = origin(url)
        return self.insecure or is_loopback(host) or (scheme == "https" and self.verify_certificate is not False)

    def _refuse_to_leak(self, url: str) -> None:
        if self.credentials is not None and not self._is_confidential(url):
            raise AuthFailed(
                f"credentials are not sent to {without_secrets(url)}: the connection is not private",
                401,
                url=without_secrets(url),
                next_step="Use https with a valid certificate, or allow it for this host (insecure).",
            )


def _with(headers: Mapping[str, str] | None, authorization: str | None) -> dict[str, str]:
    return {**(headers or {}), **({"Authorization": authorization} if authorization else {})}


def _scopes(method: str, url: str) -> Scopes:
    """The token scopes that a request needs (distribution, docs/spec/auth/scope.md)."""
    path = urlsplit(url).path
    if path.endswith("/v2/_catalog"):
        return frozenset({"registry:catalog:*"})
    match = _REPOSITORY_PATH.search(path)
    if match is None:
        return frozenset()
    return frozenset({f"repository:{match['name']}:{_ACTIONS.get(method, 'pull,push')}"})


class _Retry(urllib3.Retry):
    """Takes a `Retry-After` that cannot be read for none."""

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return super().parse_retry_after(retry_after)
        except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
            return 0


def _session(pool_size: int) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # or a .netrc would replace our Authorization header
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # Harbor asks cookie holders for CSRF tokens
    session.headers.clear()
    session.headers.update({"User-Agent": f"regscope/{__version__}", "Accept-Encoding": "identity"})
    retry = _Retry(
        total=6,
        connect=2,
        read=2,
        status=5,
        other=0,  # a certificate that is not trusted will not be trusted a second later
        backoff_factor=0.2,
        backoff_jitter=0.2,
        backoff_max=20,
        retry_after_max=120,
        status_forcelist=_RETRIED_STATUSES,
        raise_on_status=False,
    )
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=pool_size, max_retries=retry)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
