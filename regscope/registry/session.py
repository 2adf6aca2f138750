"""The client's session: a `requests.Session` whose requests are sent by the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, Self

import requests
from requests.adapters import BaseAdapter
from requests.hooks import dispatch_hook
from requests.structures import CaseInsensitiveDict

from regscope.errors import ConnectionFailed, RequestError, RequestErrorWithResponse, TimedOut, TLSFailed
from regscope.pieces import pieces_of
from regscope.registry.answer import Answer, HeldBody
from regscope.registry.http_response import response_of
from regscope.registry.request_body import Payload, RequestBody
from regscope.registry.request_options import AskTimeout
from regscope.registry.responses import read_bounded
from regscope.registry.tls import ClientCertificate
from regscope.registry.transport import HEADERS

LARGEST_HELD = 2**28
"""The most bytes of an answer that are read at once; a larger one must be read with `stream=True`."""

_OF_CONNECTION = {"Content-Length", "Transfer-Encoding", "Connection", "Host"}  # the client writes these itself


class _Client(Protocol):
    """The part of a client that its session uses."""

    verify_certificate: bool | str
    client_certificate: ClientCertificate | None

    def answer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: Payload | None,
        timeout: AskTimeout,
        outlast_errors: bool = True,
        allow_redirects: bool = True,
    ) -> Answer: ...

    def trust(self, verify: bool | str, certificate: ClientCertificate | None) -> None: ...

    def trusting(self, verify: bool | str, certificate: ClientCertificate | None) -> Self: ...

    def close(self) -> None: ...


class RegistrySession(requests.Session):
    """A session whose requests are sent as the client sends its own: see `DockerRegistryV2Client.session`.

    Credentials are sent to the registry and its token service only, the client checks and follows redirects, and the
    size of answers is limited. `verify`, `cert`, `headers` and `hooks` apply to the client's own requests too.
    """

    def __init__(self, client: _Client) -> None:
        self._client: _Client | None = None
        super().__init__()
        self._client = client
        self.trust_env = False  # the client reads proxies and authorities from the environment itself, and no netrc
        self.headers = CaseInsensitiveDict(HEADERS)
        adapter = ClientAdapter(client)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    @property
    def verify(self) -> bool | str | None:
        """Whether certificates are verified, or the path of a PEM file: the client's `verify_certificate`."""
        return True if self._client is None else self._client.verify_certificate

    @verify.setter
    def verify(self, verify: bool | str | None) -> None:
        verify = True if verify is None else verify
        if self._client is not None and verify != self._client.verify_certificate:
            self._client.trust(verify, self._client.client_certificate)

    @property
    def cert(self) -> ClientCertificate | None:
        """The client's `client_certificate`."""
        return None if self._client is None else self._client.client_certificate

    @cert.setter
    def cert(self, cert: ClientCertificate | None) -> None:
        if self._client is not None and cert != self._client.client_certificate:
            self._client.trust(self._client.verify_certificate, cert)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """As `requests.Session.send`; redirects are followed by the client, which checks their targets."""
        request.follows_redirects = options.get("allow_redirects", True)  # type: ignore[attr-defined]
        return super().send(request, **options)

    def exchange(self, headers: Mapping[str, str], send: Callable[[Mapping[str, str]], Answer]) -> Answer:
        """The answer to a request of the client's own, sent with the session's header fields and passed to its hooks.

        Args:
            headers: the request's own header fields, which replace the session's.
            send: sends the request with the given header fields.
        """
        try:
            answer = send(fields_of({**fields_of(self.headers), **fields_of(headers)}))
        except RequestErrorWithResponse as error:
            if error.response is not None:
                self._call_hooks(error.response)
            raise
        if self.hooks.get("response"):
            response = response_of(answer)
            self._call_hooks(response)
            if isinstance(response._content, bytes):  # a hook has read the body: it must be readable once more
                answer.raw = HeldBody(response._content)
        return answer

    def _call_hooks(self, response: requests.Response) -> None:
        dispatch_hook("response", self.hooks, response)  # type: ignore[no-untyped-call]


class ClientAdapter(BaseAdapter):
    """Sends the prepared requests of a session by a client."""

    def __init__(self, client: _Client) -> None:
        super().__init__()
        self._client = client

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The answer, of any status; its body is read at once unless `stream` is set.

        Args:
            timeout: seconds, or a pair; None for the client's `default_timeout`.
            proxies: ignored: the proxies of the environment are used.

        Raises:
            RequestException: there is no answer; its `__cause__` is the client's own error.
            TooLarge: the answer has more than `LARGEST_HELD` bytes; with `stream` its size is not limited.
        """
        client = self._client.trusting(verify, cert)
        try:
            answer = client.answer(
                request.method or "GET",
                request.url or "",
                headers=fields_of(request.headers),
                data=payload_of(request.body),
                timeout="default" if timeout is None else timeout,
                allow_redirects=getattr(request, "follows_redirects", True),
            )
            content = None if stream else read_bounded(answer, LARGEST_HELD, f"the answer of {request.url}")
        except RequestErrorWithResponse as error:
            if error.response is None:
                raise _as_requests_has_it(error, request) from error
            error.response.request = request
            return error.response  # type: ignore[no-any-return]
        except RequestError as error:
            raise _as_requests_has_it(error, request) from error
        return response_of(answer, content, request)

    def close(self) -> None:
        """Close the connections that the client keeps open."""
        self._client.close()


def fields_of(headers: Mapping[str, str | bytes | None]) -> dict[str, str]:
    """Header fields with names in title case, without those of None and those that the client writes itself."""
    named = {name.title(): value for name, value in headers.items() if value is not None}
    return {
        name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in named.items()
        if name not in _OF_CONNECTION
    }


def payload_of(data: Any) -> Payload | None:
    """A request's body as the client sends it, from text, bytes, an open file, or an iterable of bytes."""
    if data is None or isinstance(data, RequestBody):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    return RequestBody(lambda: _pieces(data), repeatable=False)


def _pieces(data: Any) -> Iterator[bytes]:
    if hasattr(data, "read"):
        yield from pieces_of(data)
    else:
        yield from data


_KINDS: tuple[tuple[type[RequestError], Callable[..., requests.RequestException]], ...] = (
    (TLSFailed, requests.exceptions.SSLError),
    (TimedOut, requests.exceptions.ReadTimeout),
    (ConnectionFailed, requests.exceptions.ConnectionError),
)


def _as_requests_has_it(error: RequestError, request: requests.PreparedRequest) -> requests.RequestException:
    kind = next((theirs for ours, theirs in _KINDS if isinstance(error, ours)), requests.RequestException)
    return kind(str(error), request=request)
