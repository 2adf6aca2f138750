"""A proxy in front of a registry that tests can make misbehave."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict

from .certificates import Certificate
from .loopback import LoopbackHandler, LoopbackServer

_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
_FRAMING = {"content-length", *_HOP}
_PIECE = 1 << 16
_SMALL = 1 << 16


@dataclass
class ProxyRequest:
    """One request as it arrived, a small body with it; status and sent tell how it was answered."""

    method: str
    path: str
    headers: CaseInsensitiveDict[str]
    body_length: int = 0
    status: int = 0
    sent: int = 0
    body: bytes = field(default=b"", repr=False)


@dataclass
class ProxyResponse:
    """An answer; `content_length` overrides the true one, `cut_after` closes after so many body bytes."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    cut_after: int | None = None
    content_length: int | None = None
    chunked: bool = False

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def set_header(self, name: str, value: str | None) -> None:
        """Replace all headers of that name; None removes them."""
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))


Forward = Callable[[], ProxyResponse]
Rule = Callable[[ProxyRequest, Forward], ProxyResponse | None]
Condition = Callable[[ProxyRequest], bool]


class FaultProxy(LoopbackServer):
    """Forwards everything to one upstream, unless a rule answers.

    Rules are asked in the order of their installation; `forward()` inside a rule asks the later rules
    and then the upstream, so that rules can be combined.
    """

    def __init__(self, upstream: str, *, ca: Path | None = None, tls: Certificate | None = None) -> None:
        owner = self

        class Handler(_Handler):
            proxy = owner

        super().__init__(Handler, tls)
        self.upstream = upstream
        self.requests: list[ProxyRequest] = []
        self.rules: list[Rule] = []
        self._context = ssl.create_default_context(cafile=ca) if ca else None

    @overload
    def rule(self, rule: Rule, /) -> None: ...

    @overload
    def rule(self, when: Condition, action: Rule, /) -> None: ...

    def rule(self, first: Rule | Condition, action: Rule | None = None, /) -> None:
        """Install a rule, or an action for the requests that meet a condition."""
        self.rules.append(first if action is None else _conditional(first, action))  # type: ignore[arg-type]

    def clear(self) -> None:
        """Forget all rules and recorded requests."""
        self.rules.clear()
        self.requests.clear()

    def connect(self) -> http.client.HTTPConnection:
        """A new connection to the upstream."""
        parts = urlsplit(self.upstream)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.netloc, timeout=60, context=self._context)
        return http.client.HTTPConnection(parts.netloc, timeout=60)

    def location(self, value: str) -> str:
        """An absolute address of the upstream, turned into one of the proxy."""
        parts, own = urlsplit(value), urlsplit(self.url)
        # The upstream puts the Host it was sent, which is the proxy's, behind its own scheme.
        if parts.netloc and parts.netloc in (urlsplit(self.upstream).netloc, own.netloc):
            return parts._replace(scheme=own.scheme, netloc=own.netloc).geturl()
        return value


class _Handler(LoopbackHandler):
    proxy: FaultProxy
    upstream: http.client.HTTPConnection | None = None

    def _serve(self) -> None:
        body = self.read_body()
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for name, value in self.headers.items():
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        request = ProxyRequest(self.command, self.path, headers, len(body), body=body[:_SMALL])
        self.proxy.requests.append(request)
        rules = list(self.proxy.rules)
        upstream = _Once(lambda: self._buffered(body))

        def ask(position: int) -> ProxyResponse | None:
            for number in range(position, len(rules)):
                answer = rules[number](request, lambda after=number + 1: ask(after) or upstream())  # type: ignore[misc]
                if answer is not None:
                    return answer
            return None

        answer = ask(0) or (upstream() if upstream.done else None)
        if answer is not None:
            self._send(request, answer)
        else:
            self._stream(request, body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def finish(self) -> None:
        if self.upstream:
            self.upstream.close()
        super().finish()

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        reused = self.upstream is not None
        if self.upstream is None:
            self.upstream = self.proxy.connect()
        try:
            self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in (*_FRAMING, "expect"):
                    self.upstream.putheader(name, value)
            if body or "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
                self.upstream.putheader("Content-Length", str(len(body)))
            self.upstream.endheaders(body or None)
            return self.upstream.getresponse()
        except (http.client.HTTPException, OSError):
            self.upstream.close()
            self.upstream = None
            if not reused:
                raise
        # An idle connection does not outlive a restart of the upstream.
        return self._ask(body)

    def _headers(self, answer: http.client.HTTPResponse) -> list[tuple[str, str]]:
        pairs = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
        return [(n, self.proxy.location(v) if n.lower() == "location" else v) for n, v in pairs]

    def _buffered(self, body: bytes) -> ProxyResponse:
        with self._ask(body) as answer:
            return ProxyResponse(answer.status, self._headers(answer), answer.read())

    def _stream(self, request: ProxyRequest, body: bytes) -> None:
        with self._ask(body) as answer:
            request.status = answer.status
            self._head(answer.status, self._headers(answer), answer.chunked)
            for piece in iter(lambda: answer.read(_PIECE), b""):
                self._write(request, piece, answer.chunked)
            if answer.chunked and self.command != "HEAD":
                self.wfile.write(b"0\r\n\r\n")

    def _send(self, request: ProxyRequest, answer: ProxyResponse) -> None:
        request.status = answer.status
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        length = answer.header("Content-Length") if bodiless else str(len(answer.body))
        if answer.content_length is not None:
            length = str(answer.content_length)
        headers = [pair for pair in answer.headers if pair[0].lower() not in _FRAMING]
        if length is not None and not answer.chunked:
            headers.append(("Content-Length", length))
        self._head(answer.status, headers, answer.chunked)
        if bodiless:
            return
        body = answer.body if answer.cut_after is None else answer.body[: answer.cut_after]
        for piece in _pieces(body):
            self._write(request, piece, answer.chunked)
        if answer.cut_after is not None or int(length or 0) != len(answer.body):
            self.close_connection = True
        elif answer.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, headers: list[tuple[str, str]], chunked: bool) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if chunked and self.command != "HEAD":
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _write(self, request: ProxyRequest, piece: bytes, chunked: bool) -> None:
        request.sent += len(piece)
        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)


class _Once:
    """A call whose answer is kept, so that one request reaches the upstream once at most."""

    def __init__(self, call: Forward) -> None:
        self._call, self._answer = call, ProxyResponse(502)
        self.done = False

    def __call__(self) -> ProxyResponse:
        if not self.done:
            self._answer, self.done = self._call(), True
        return self._answer


def _conditional(when: Condition, action: Rule) -> Rule:
    return lambda request, forward: action(request, forward) if when(request) else None


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[start : start + _PIECE] for start in range(0, len(body), _PIECE))
