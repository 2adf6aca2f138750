"""The client of one registry: its settings, and the one path that every request takes.

`request` leads to `AuthorizedRequests` (credentials and scopes), and that to `Transport` (retries, `Retry-After`,
redirects); nothing else in regscope sends a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

from regscope.errors import AuthFailed, RequestError
from regscope.registry.addresses import is_loopback
from regscope.registry.answer import Answer
from regscope.registry.auth import Authorizer, Greeting
from regscope.registry.authenticator import Authenticator, CustomAuthorizer
from regscope.registry.authorized_requests import AuthorizedRequests, anonymous_answer, greet, is_confidential, leak
from regscope.registry.connections import Connections
from regscope.registry.credentials import Keychain, login_from
from regscope.registry.deletion_behaviour import DeletionBehaviour
from regscope.registry.endpoint import OFFICIAL_ENDPOINT, APIEndpoint, full_name, is_docker_hub
from regscope.registry.framing import SLOWEST
from regscope.registry.guessed_http import refuse_writing, warn_of_reading
from regscope.registry.list_growth import MOST_NAMES
from regscope.registry.origin import origin, same_origin, without_secrets
from regscope.registry.request_body import Payload
from regscope.registry.request_options import AskTimeout as AskTimeout
from regscope.registry.request_options import Timeout as Timeout
from regscope.registry.request_options import seconds_of
from regscope.registry.requests_facade import RequestsFacade
from regscope.registry.responses import discard
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.scopes import Need
from regscope.registry.server_warnings import ServerWarnings
from regscope.registry.stated_digests import StatedDigests
from regscope.registry.tls import ClientCertificate
from regscope.registry.token_fetcher import TokenFetcher
from regscope.registry.tokens import TokenService
from regscope.registry.transport import Transport
from regscope.registry.upload_behaviour import UploadBehaviour
from regscope.spec.rate_limit import RateLimit, parse_rate_limit

if TYPE_CHECKING:
    from regscope.registry.session import RegistrySession

DEFAULT_POOL_SIZE = 64
_PLAIN = re.compile(r"[A-Za-z0-9._/:@-]*")


class DockerRegistryV2Client(RequestsFacade):
    """A client of the Docker Registry HTTP API V2 and the OCI distribution API.

    Args:
        api_base_url: scheme, host and port, such as `https://registry.example.com`, and a path if `/v2/` is below one.
        username, password: credentials for the registry and its token service; they are sent nowhere else.
        keychain: the credentials by repository, used where `username` is not given.
        verify_certificate: True, False, or the path of a certificate authority's PEM file.
        authenticator_class: answers the registry's challenges, in place of Basic and Bearer.
        default_timeout: seconds for a request, or a pair: to connect, and for each read.
        auth_timeout: the same for the token service.
        insecure: allow credentials over plain HTTP or unverified TLS to a host other than this machine.
        pool_size: connections that are kept open; one for each thread that uses the client.
        client_certificate: a PEM file, or one with the certificate and one with its key, for servers that require one.
        concurrency: requests at once to each host; no limit by default.
        rate: requests a second to each host; no limit by default.
        slowest: bytes a second; an answer that is slower for as long as its read timeout is given up. 1000 by default,
            0 for no limit.
        most_names: the most names that are read of one list of repositories or tags; 250,000 by default.
        guessed_http: the registry uses plain HTTP, and the user has not stated `http://`: it is then read only, unless
            it is on this machine, or `insecure`.
        retry_policy: how often a request is sent again, and the waits between the attempts.
        api_token: a token for the own API of whoever runs the registry; it is not sent to the registry.
        answers_challenges: whether a 401 is answered with credentials; False for an API whose caller sends its own.

    Attributes:
        rate_limit: the quota that an answer of the registry stated last; None before that.
        uploads: how the registry handles uploads, as observed so far.
        deletions: how the registry deletes, as observed so far.
        has_referrers_api: whether it has the referrers API; None before that was tried.
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
        """A client of `api_endpoint`; if its address has no scheme, a connection shows whether it speaks TLS.

        Args:
            https_detect_timeout: seconds for that connection.
            verify_certificate: by default True, unless that connection has shown that the certificate is not valid;
                credentials are then refused for other machines than this one, unless `insecure` is set.
            options: the other arguments of the constructor.

        Warns:
            RegscopeWarning: the registry speaks no TLS, is not on this machine, and `insecure` is not set.
        """
        speaks_tls, is_valid = api_endpoint.is_secure_repository(timeout=https_detect_timeout)
        if verify_certificate is None:
            verify_certificate = is_valid or not speaks_tls
        client = cls(
            api_endpoint.base_url,
            username,
            password,
            verify_certificate,
            authenticator_class,
            default_timeout,
            auth_timeout,
            guessed_http=not speaks_tls and not api_endpoint.states_scheme,
            **options,
        )
        if client.guessed_http:
            warn_of_reading(client.api_base_url)
        return client

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
        slowest: float | None = None,
        most_names: int | None = None,
        guessed_http: bool = False,
        retry_policy: RetryPolicy | None = None,
        api_token: str | None = None,
        answers_challenges: bool = True,
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
        self.slowest = SLOWEST if slowest is None else slowest
        self.most_names = most_names or MOST_NAMES
        self.guessed_http = guessed_http and not insecure and not is_loopback(origin(self.api_base_url)[1])
        self.retry_policy = retry_policy or RetryPolicy()
        self.rate_limit: RateLimit | None = None
        self.has_referrers_api: bool | None = None  # None before it was tried
        self.uploads = UploadBehaviour()
        self.deletions = DeletionBehaviour()
        self.api_token = api_token
        self.answers_challenges = answers_challenges
        self._session: RegistrySession | None = None
        self._connect()

    def _connect(self) -> None:
        self._beside: dict[str, DockerRegistryV2Client] = {}
        self._at_hub = is_docker_hub(self.api_base_url)
        self._warnings = ServerWarnings()
        self._stated_digests = StatedDigests()
        connections = Connections(
            self.api_base_url,
            self.pool_size,
            verify=self.verify_certificate,
            certificate=self.client_certificate,
            slowest=self.slowest,
        )
        self._transport = Transport(self.api_base_url, connections, self.retry_policy, self.concurrency, self.rate)
        guard = self._refuse_to_leak
        authorizer: Authorizer | CustomAuthorizer
        if self.authenticator_class is None:
            seconds = seconds_of(self.auth_timeout, self.auth_timeout)
            tokens = TokenFetcher(self.api_base_url, self._transport, seconds, guard)
            authorizer = Authorizer(self.keychain, self._greet, tokens.fetch, guard)
        else:
            login = self.keychain.login("")
            authorizer = CustomAuthorizer(self.authenticator_class, login, self.auth_timeout, guard)
        self._requests = AuthorizedRequests(
            self.api_base_url, self._transport, authorizer, guard, self._note, self.answers_challenges
        )

    def close(self) -> None:
        """Close the connections that are kept open; the next request makes new ones."""
        self._transport.close()
        for other in self._beside.values():
            other.close()

    def beside(self, address: str) -> DockerRegistryV2Client:
        """A client for another address of whoever runs the registry: the same settings, and no login."""
        if address not in self._beside:
            self._beside[address] = DockerRegistryV2Client(
                address,
                verify_certificate=self.verify_certificate,
                default_timeout=self.default_timeout,
                insecure=self.insecure,
                pool_size=self.pool_size,
                concurrency=self.concurrency,
                rate=self.rate,
                slowest=self.slowest,
                most_names=self.most_names,
                retry_policy=self.retry_policy,
                answers_challenges=False,
            )
        return self._beside[address]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # Connections, locks and tokens cannot be pickled; another process makes its own.
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._session = None
        self._connect()

    def __repr__(self) -> str:
        return f"DockerRegistryV2Client({without_secrets(self.api_base_url)!r})"

    def url(self, *path: str) -> str:
        """The URL of an API path under `/v2/`, its parts quoted; the first of several parts is a repository's name."""
        if self._at_hub and len(path) > 1:
            path = (full_name(self.api_base_url, path[0]), *path[1:])
        return f"{self.api_base_url}/v2/" + "/".join(
            [part if _PLAIN.fullmatch(part) else quote(part, safe="/:@") for part in path]
        )

    @property
    def stated_digests(self) -> StatedDigests:
        """Reads `Docker-Content-Digest` in the registry's answers, and records whether it can be relied on."""
        return self._stated_digests

    @property
    def token_service(self) -> TokenService | None:
        """The token service that the registry's challenge named; None before a challenge, or without a service."""
        return self._requests.token_service

    @property
    def counts_pulls(self) -> bool:
        """Whether pulls count against a quota: the registry has stated one, or is Docker Hub."""
        return self.rate_limit is not None or self._at_hub

    def ping(self) -> bool:
        """Whether the registry answers `GET /v2/` successfully with these credentials."""
        try:
            discard(self.request("GET", self.url()))
        except RequestError:
            return False
        return True

    def hello(self) -> tuple[Mapping[str, str], bytes]:
        """The header fields and the body of `/v2/` for an anonymous request; a body above 4096 bytes is left empty.

        Raises:
            RequestError: there is no answer.
        """
        return anonymous_answer(self._transport, self.url(), seconds_of("default", self.default_timeout))

    def check_login(self) -> bool:
        """Have the registry check the credentials; False where it answers everybody and did not check them.

        Raises:
            AuthFailed: the registry or its token service refuses the credentials, or ignores them.
            RequestError: the registry or its token service failed.
        """
        discard(self.request("GET", self.url()))
        if self._requests.has_checked_login():
            return True
        try:  # the catalog is restricted more often than `/v2/`
            discard(self.request("GET", self.url("_catalog"), params={"n": 1}))
        except AuthFailed:
            raise
        except RequestError:
            return self._requests.has_checked_login()
        return self._requests.has_checked_login()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        data: Payload | None = None,
        timeout: AskTimeout = "default",
        outlast_errors: bool = True,
        allow_redirects: bool = True,
        need: Need | None = None,
    ) -> Answer:
        """Send a request and return the answer, its body still unread.

        Args:
            headers: header fields.
            params: the query.
            data: the request's body; a request whose body cannot be read twice is sent once only.
            timeout: seconds, or a pair: to connect, and for each read; `default_timeout` by default.
            outlast_errors: send it again after a server error (500, 502, 503, 504), as `retry_policy` says.
            allow_redirects: follow redirects; otherwise the redirect itself is returned.
            need: the repository and the token scopes that the request needs; by default from its path and method.

        Raises:
            RequestError: or one of its kinds, where there is no answer, or its status is 400 or above.
        """
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, doseq=True)
        if self._session is None:
            return self.answer(method, url, headers or {}, data, timeout, outlast_errors, allow_redirects, need)
        return self._session.exchange(
            headers or {},
            lambda fields: self.answer(method, url, fields, data, timeout, outlast_errors, allow_redirects, need),
        )

    def answer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: Payload | None,
        timeout: AskTimeout,
        outlast_errors: bool = True,
        allow_redirects: bool = True,
        need: Need | None = None,
    ) -> Answer:
        """As `request`, without the header fields and hooks of the session."""
        if self.guessed_http:
            refuse_writing(method, self.api_base_url)
        seconds = seconds_of(timeout, self.default_timeout)
        return self._requests.send(method, url, headers, data, seconds, outlast_errors, allow_redirects, need)

    def _note(self, answer: Answer) -> None:
        """Record the quota that an answer states, and show its `Warning`."""
        if (limit := parse_rate_limit(answer.headers)) is not None:
            self.rate_limit = limit
        if (warning := answer.headers.get("Warning")) and same_origin(answer.url, self.api_base_url):
            self._warnings.show(warning, self.api_base_url)

    def _greet(self) -> Greeting:
        return greet(self._transport, self.url(), seconds_of("default", self.default_timeout))

    def _refuse_to_leak(self, url: str) -> None:
        if not self.insecure and not is_confidential(url, self.verify_certificate):
            raise leak(url)
