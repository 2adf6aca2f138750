"""The client of one registry: the one path that every request takes.

Authentication, scopes, retries, `Retry-After`, redirects and errors are handled here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from math import isinf
from typing import TYPE_CHECKING, Any, Self, Unpack
from urllib.parse import quote, urlencode

import requests

from regscope.errors import AuthFailed, RequestError, RequestErrorWithResponse, TooLarge
from regscope.registry.addresses import is_loopback
from regscope.registry.answer import Answer
from regscope.registry.auth import Authorizer, Greeting
from regscope.registry.authenticator import Authenticator, CustomAuthorizer
from regscope.registry.connections import Connections
from regscope.registry.credentials import Credentials, Keychain, login_from
from regscope.registry.deletion_behaviour import DeletionBehaviour
from regscope.registry.endpoint import OFFICIAL_ENDPOINT, APIEndpoint, full_name, is_docker_hub
from regscope.registry.framing import SLOWEST
from regscope.registry.guessed_http import refuse_writing, warn_of_reading
from regscope.registry.http_response import response_of
from regscope.registry.list_growth import MOST_NAMES
from regscope.registry.origin import origin, same_origin, without_secrets
from regscope.registry.request_body import Payload, is_repeatable
from regscope.registry.request_options import AskTimeout as AskTimeout
from regscope.registry.request_options import RequestOptions
from regscope.registry.request_options import Timeout as Timeout
from regscope.registry.responses import discard, error_from, read_bounded, short_body
from regscope.registry.retry_policy import TOO_MANY, RetryPolicy
from regscope.registry.scopes import Asked, Need, need_of
from regscope.registry.server_warnings import ServerWarnings
from regscope.registry.stated_digests import StatedDigests
from regscope.registry.tls import ClientCertificate
from regscope.registry.token_fetcher import TokenFetcher
from regscope.registry.tokens import TokenService
from regscope.registry.transport import SECRETS, Transport
from regscope.registry.upload_behaviour import UploadBehaviour
from regscope.spec.rate_limit import RateLimit, parse_rate_limit

if TYPE_CHECKING:
    from regscope.registry.session import RegistrySession

DEFAULT_POOL_SIZE = 64
_PLAIN = re.compile(r"[A-Za-z0-9._/:@-]*")
_LONGEST_HELLO = 4096  # bytes
_MOST_ANSWERS = 4  # of a registry to one request, before it is refused


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
        slowest: bytes a second; an answer that comes slower for as long as the timeout of its reads is given up. 1000
            by default, 0 for never.
        most_names: that are read of one list of repositories or tags; 250,000 by default.
        guessed_http: whether nobody has said that the registry need not speak TLS: then nothing is written to it,
            unless it is on this machine, or `insecure`.
        patience: how often a request is sent again, and how long is waited before.

    Attributes:
        rate_limit: what the registry's latest answer said of its quota; None where it said nothing.
        uploads: what they have found out about the registry.
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

        Warns:
            RegscopeWarning: it does not, and is not on this machine, or `insecure`: what is read can be seen.
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
        self.has_referrers_api: bool | None = None  # not known before it was asked
        self.uploads = UploadBehaviour()
        self.deletions = DeletionBehaviour()
        self._session: RegistrySession | None = None
        self._connect()

    def _connect(self) -> None:
        self._at_hub = is_docker_hub(self.api_base_url)
        self._authorization = ""
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
        self._authorizer: Authorizer | CustomAuthorizer
        if self.authenticator_class is None:
            tokens = TokenFetcher(self.api_base_url, self._transport, _pair(self.auth_timeout), guard)
            self._authorizer = Authorizer(self.keychain, self._greet, tokens.fetch, guard)
        else:
            login = self.keychain.login("")
            self._authorizer = CustomAuthorizer(self.authenticator_class, login, self.auth_timeout, guard)

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
        self._session = None
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
    def stated_digests(self) -> StatedDigests:
        """What the registry's answers say of the digests of manifests."""
        return self._stated_digests

    @property
    def token_service(self) -> TokenService | None:
        """The one that the registry has named; None as long as it has named none."""
        return self._authorizer.token_service if isinstance(self._authorizer, Authorizer) else None

    @property
    def counts_pulls(self) -> bool:
        """Whether the registry has spoken of a quota; Docker Hub has one even before it was asked."""
        return self.rate_limit is not None or self._at_hub

    def ping(self) -> bool:
        """Whether the registry answers, and these credentials are good enough to be answered (`GET /v2/`)."""
        try:
            discard(self.request("GET", self.url()))
        except RequestError:
            return False
        return True

    def hello(self) -> tuple[Mapping[str, str], bytes]:
        """How `/v2/` answers somebody who does not say who asks: the header fields, and a small body or nothing.

        Raises:
            RequestError: there is no answer.
        """
        url = self.url()
        response = self._transport.send("GET", url, {}, _pair(self.default_timeout))
        if not same_origin(response.url, self.api_base_url):
            discard(response)
            return {}, b""
        try:
            return response.headers, read_bounded(response, _LONGEST_HELLO, f"the answer of {url}")
        except TooLarge:
            return response.headers, b""

    def check_login(self) -> bool:
        """Have the login looked at; whether anybody did: a registry that is open to all need not.

        Raises:
            AuthFailed: the registry refuses it, or its token service does, or gives it what it gives to nobody.
            RequestError: one of them fails.
        """
        discard(self.request("GET", self.url()))
        if not isinstance(self._authorizer, Authorizer) or self._authorizer.has_checked_login():
            return True
        try:  # what is not for everybody may ask sooner
            discard(self.request("GET", self.url("_catalog"), params={"n": 1}))
        except AuthFailed:
            raise
        except RequestError:
            return self._authorizer.has_checked_login()
        return self._authorizer.has_checked_login()

    @property
    def session(self) -> RegistrySession:
        """A session of `requests` that sends by this client; what is set in it holds for the client's requests, too.

        It returns an answer of any status, as sessions do, where the client's own verbs raise.
        """
        if self._session is None:
            from regscope.registry.session import RegistrySession  # few want one, and `requests` takes its time

            self._session = RegistrySession(self)
        return self._session

    @property
    def username(self) -> str | None:
        """Of the login at hand for the whole registry; None where there is none, or it is a token."""
        login = self.keychain.login_at_hand()
        return login.username if isinstance(login, Credentials) else None

    @property
    def authorization(self) -> str:
        """The `Authorization` header that was sent last; empty before there was any."""
        return self._authorization

    def get(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """GET; see `RequestOptions`. An error where the status is from 400 up."""
        return self._response("GET", url, options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """HEAD; see `RequestOptions`. An error where the status is from 400 up."""
        return self._response("HEAD", url, options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """PUT; see `RequestOptions`. An error where the status is from 400 up."""
        return self._response("PUT", url, options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """PATCH; see `RequestOptions`. An error where the status is from 400 up."""
        return self._response("PATCH", url, options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """POST; see `RequestOptions`. An error where the status is from 400 up."""
        return self._response("POST", url, options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> requests.Response:
        """DELETE; see `RequestOptions`. An error where the status is from 400 up."""
        return self._response("DELETE", url, options)

    def _response(self, method: str, url: str, options: RequestOptions) -> requests.Response:
        from regscope.registry.session import LARGEST_HELD, fields_of, payload_of

        if unknown := options.keys() - RequestOptions.__annotations__.keys():
            raise TypeError(f"{method.lower()} has no option {', '.join(sorted(unknown))}: use client.session")
        answer = self.request(
            method,
            url,
            headers=fields_of(options.get("headers") or {}),
            params=options.get("params"),
            data=payload_of(options.get("data")),
            timeout=options.get("timeout", "default"),
            outlast_errors=options.get("outlast_errors", True),
            allow_redirects=options.get("allow_redirects", True),
        )
        content = None if options.get("stream", True) else read_bounded(answer, LARGEST_HELD, f"the answer of {url}")
        return response_of(answer, content)

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
            need: what it is about, and what its token must allow; by default as its path and its method say it.
            outlast_errors: send it again after a server's error (500, 502, 503, 504), as `retry_policy` says.
            data: the request's body; one that cannot be begun again is sent once only.
            allow_redirects: go where the answer leads; else that is returned.

        Raises:
            RequestError: or one of its kinds, for no answer and for every answer from 400 up.
        """
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, doseq=True)
        if self._session is None:
            return self.answer(method, url, headers or {}, data, timeout, outlast_errors, allow_redirects, need)
        headers = self._session.fields(headers or {})
        try:
            answer = self.answer(method, url, headers, data, timeout, outlast_errors, allow_redirects, need)
        except RequestErrorWithResponse as error:
            if error.response is not None:
                self._session.show(error.response)
            raise
        self._session.show_answer(answer)
        return answer

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
        """As `request`, without what was set in the session."""
        if self.guessed_http:
            refuse_writing(method, self.api_base_url)
        at_home = same_origin(url, self.api_base_url)
        if not SECRETS.isdisjoint(headers):
            headers = self._without_leaks(url, headers)
        seconds = _pair(self.default_timeout if timeout == "default" or _is_infinite(timeout) else timeout)
        asked = Asked(need or need_of(method, url, self.api_base_url), url)
        may_be_repeated = is_repeatable(data)
        authorize = partial(self._authorize, asked) if at_home else None
        for _ in range(_MOST_ANSWERS):
            response = self._transport.send(
                method, url, headers, seconds, data, authorize, outlast_errors, allow_redirects
            )
            challenge, at_home = self._challenge_of(response)
            if not (may_be_repeated and at_home and self._asks_again(method, response, challenge, asked)):
                break
            discard(response)
        if (limit := parse_rate_limit(response.headers)) is not None:
            self.rate_limit = limit
        if at_home and (warning := response.headers.get("Warning")):
            self._warnings.show(warning, self.api_base_url)
        if response.status_code == 401:
            refusal = self._authorizer.refused(challenge, asked)
            refusal.response = response_of(response, short_body(response))
            raise refusal
        self._authorizer.accepted(asked)
        if response.status_code >= 400:
            raise error_from(response)
        return response

    def _without_leaks(self, url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The header fields without the user's own secrets, where `url` is not the registry's.

        Raises:
            AuthFailed: it is, and the connection is not private.
        """
        if not same_origin(url, self.api_base_url):
            return {name: value for name, value in headers.items() if name not in SECRETS}
        self._refuse_to_leak(url)
        return headers

    def trust(self, verify: bool | str, certificate: ClientCertificate | None) -> None:
        """From now on verify certificates so, and show this one; connections are made anew."""
        self.close()
        self.verify_certificate, self.client_certificate = verify, certificate
        self._connect()

    def trusting(self, verify: bool | str, certificate: ClientCertificate | None) -> DockerRegistryV2Client:
        """This client, or one like it that verifies certificates so and shows this one."""
        if (verify, certificate) == (self.verify_certificate, self.client_certificate):
            return self
        other = copy(self)
        other.trust(verify, certificate)
        return other

    def _authorize(self, asked: Asked) -> str | None:
        header = asked.sends(self._authorizer.header(asked))
        self._authorization = header or ""
        return header

    def _challenge_of(self, response: Answer) -> tuple[str, bool]:
        """The challenge of an answer, and whether it comes from the registry itself; others have no say."""
        at_home = same_origin(response.url, self.api_base_url)
        return (response.headers.get("WWW-Authenticate", "") if at_home else ""), at_home

    def _asks_again(self, method: str, response: Answer, challenge: str, asked: Asked) -> bool:
        """Whether there is more to say of who asks than was said."""
        if response.status_code == 401:
            try:
                return self._authorizer.hear(challenge, asked)
            except BaseException:
                discard(response)
                raise
        if response.status_code == 403 and challenge and asked.has_sent_token:  # Keppel's way to name another scope
            with suppress(AuthFailed):
                return self._authorizer.hear(challenge, asked)
        was_read = response.status_code < 400 and method in ("GET", "HEAD")
        return was_read and bool(challenge) and self._authorizer.overhear(challenge, asked)

    def _greet(self) -> Greeting:
        url = self.url()
        response = self._transport.send("GET", url, {}, _pair(self.default_timeout))
        if response.status_code == TOO_MANY or response.status_code >= 500:
            raise error_from(response)
        discard(response)
        return Greeting(url, response.status_code, self._challenge_of(response)[0])

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


def _is_infinite(timeout: Timeout) -> bool:
    """As the older client says that it is the client's own."""
    return isinstance(timeout, float) and isinf(timeout)


def _pair(timeout: Timeout) -> tuple[float | None, float | None]:
    return timeout if isinstance(timeout, tuple) else (timeout, timeout)
