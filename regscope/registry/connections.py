"""Connections that are kept open, to a registry and to wherever it sends its readers.

On `http.client`: a scan is made of small answers, on each of which `requests` spends several times the CPU.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import select
import socket
import ssl
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from regscope.errors import TLSFailed
from regscope.registry.answer import Answer, Body
from regscope.registry.failures import connection_error
from regscope.registry.framing import Incoming
from regscope.registry.origin import cut, origin
from regscope.registry.outgoing import Outgoing, Payload
from regscope.registry.proxies import proxy_authorization, proxy_failed, proxy_for
from regscope.registry.tls import ClientCertificate, elsewhere_context, home_context

_SURE_FOR = 1.0  # seconds in which a connection is used again without a look whether it still stands


class _Target(NamedTuple):
    """Where a connection leads."""

    scheme: str
    netloc: str


_Idle = defaultdict[_Target, list[tuple[http.client.HTTPConnection, float]]]
"""Connections, and since when (of `time.monotonic`) nobody uses them."""


@functools.lru_cache(maxsize=256)
def _target(server: str) -> _Target:
    parts = urlsplit(server)
    return _Target(parts.scheme.lower(), parts.netloc.rpartition("@")[2])


class Connections:
    """A pool of connections for many threads.

    Args:
        home: the registry's address.
        size: how many idle ones are kept for each host.
        verify: True for the system's and certifi's certificate authorities, False for none, or the path of a PEM file:
            of the only authorities to trust at home, and of some more elsewhere.
        certificate: the client's own, shown to the registry alone.
    """

    def __init__(
        self, home: str, size: int, *, verify: bool | str = True, certificate: ClientCertificate | None = None
    ) -> None:
        self._home = origin(home)
        self._size = size
        self._verify = verify
        self._certificate = certificate
        self._idle: _Idle = defaultdict(list)
        self._proxies: dict[_Target, SplitResult | None] = {}
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._idle)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Payload | None,
        timeout: tuple[float | None, float | None],
        ended: Callable[[], None],
    ) -> Answer:
        """Send one request; the answer's header has been read, its body not.

        Args:
            timeout: seconds to connect, and for each read.
            ended: called once the body was read or given up, or there was no answer.

        Raises:
            ConnectionFailed: or one of its kinds.
        """
        server, path = cut(url)
        target = _target(server)
        connection: http.client.HTTPConnection | None = None
        try:
            connection = self._reused(target) or self._connected(target, timeout[0])
            if target.scheme == "http" and (proxy := self._proxies[target]) is not None:
                path = f"http://{target.netloc}{path}"
                headers = {**headers, **proxy_authorization(proxy)}
            head = _head(method, path, target.netloc, headers, body)
            if connection.sock.gettimeout() != timeout[1]:
                connection.sock.settimeout(timeout[1])
            _send(connection.sock, head, body)
            incoming = Incoming(connection.sock)
            header = incoming.header(method)
        except BaseException as error:
            if connection is not None:
                connection.close()
            ended()
            if isinstance(error, http.client.HTTPException | OSError | ValueError):
                raise connection_error(error, url) from None
            raise

        def done(keep: bool) -> None:
            self._take_back(target, connection, keep)
            ended()

        return Answer(method, url, header, Body(header, incoming, url, done))

    def _reused(self, target: _Target) -> http.client.HTTPConnection | None:
        idle = self._idle[target]
        while idle:
            try:
                connection, since = idle.pop()
            except IndexError:  # another thread was faster
                return None
            if time.monotonic() - since < _SURE_FOR or not _was_dropped(connection):
                return connection
            connection.close()
        return None

    def _take_back(self, target: _Target, connection: http.client.HTTPConnection, keep: bool) -> None:
        idle = self._idle[target]
        if keep and len(idle) < self._size:
            idle.append((connection, time.monotonic()))
        else:
            connection.close()

    def _connected(self, target: _Target, timeout: float | None) -> http.client.HTTPConnection:
        proxy = self._proxy(target)
        to = proxy.netloc.rpartition("@")[2] if proxy else target.netloc
        connection: http.client.HTTPConnection
        if target.scheme == "https":
            connection = http.client.HTTPSConnection(to, timeout=timeout, context=self._tls(target))
        else:
            connection = http.client.HTTPConnection(to, timeout=timeout)
        if proxy and target.scheme == "https":
            connection.set_tunnel(target.netloc, headers=proxy_authorization(proxy))
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            if proxy is None or isinstance(error, ssl.SSLError):
                raise
            raise proxy_failed(proxy, error) from None
        return connection

    def _proxy(self, target: _Target) -> SplitResult | None:
        """The proxy that the environment names for `target`: looked up once, since that costs more than a request."""
        if target not in self._proxies:
            self._proxies[target] = proxy_for(f"{target.scheme}://{target.netloc}")
        return self._proxies[target]

    def _tls(self, target: _Target) -> ssl.SSLContext:
        url = f"{target.scheme}://{target.netloc}"
        at_home = origin(url) == self._home
        with self._lock:
            if at_home not in self._contexts:
                try:
                    self._contexts[at_home] = (
                        home_context(self._verify, self._certificate) if at_home else elsewhere_context(self._verify)
                    )
                except OSError as error:
                    raise _bad_files(error, url) from None
            return self._contexts[at_home]

    def close(self) -> None:
        """Close the idle connections."""
        _close(self._idle)


def _close(connections: _Idle) -> None:
    for idle in connections.values():
        while idle:
            idle.pop()[0].close()


def _send(connection: socket.socket, head: bytes, body: Payload | None) -> None:
    if not isinstance(body, Outgoing):
        connection.sendall(head + body if body else head)
        return
    connection.sendall(head)
    # Whoever hangs up before the end has usually said why: the answer will tell.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in body.framed():
            connection.sendall(piece)


def _head(method: str, path: str, host: str, headers: Mapping[str, str], body: Payload | None) -> bytes:
    """A request up to its body (RFC 9112, 3).

    Raises:
        ValueError: a line break, or what is not Latin-1, where it would not stay in its place.
    """
    if not (path.isascii() and path.isprintable() and " " not in path):
        raise ValueError(f"no path of a URL: {path[:200]!r}")
    length = _stated_length(method, body)
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers):
        raise ValueError("a header field with a line break")
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{fields}\r\n".encode("latin-1")


def _stated_length(method: str, body: Payload | None) -> str:
    if isinstance(body, Outgoing):
        return "Transfer-Encoding: chunked\r\n" if body.length is None else f"Content-Length: {body.length}\r\n"
    if body is None and method in ("GET", "HEAD", "DELETE"):
        return ""
    return f"Content-Length: {len(body or b'')}\r\n"


def _bad_files(error: OSError, url: str) -> TLSFailed:
    return TLSFailed(
        f"no trusted connection: the certificate files that were named cannot be read: {error.strerror or error}",
        url=url,
        next_step="Name PEM files: verify='ca.pem' (--ca), client_certificate='client.pem' (--client-cert).",
    )


def _was_dropped(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has hung up, or said something that nobody asked for."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
