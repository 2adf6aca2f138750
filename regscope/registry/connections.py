"""A pool of open connections, to a registry and to the hosts that it redirects to.

It works on sockets: a scan consists of small answers, for each of which `requests` takes several times the CPU.
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
from regscope.registry.addresses import Reach, resolve
from regscope.registry.answer import Answer, Body
from regscope.registry.connecting import allowed, connect, encrypted, most_of_named, open_tunnel, to_proxy
from regscope.registry.failures import connection_error
from regscope.registry.framing import SLOWEST, Incoming
from regscope.registry.origin import cut, origin
from regscope.registry.proxies import proxy_authorization, proxy_failed, proxy_for
from regscope.registry.request_body import Payload, RequestBody
from regscope.registry.tls import ClientCertificate, elsewhere_context, home_context

_SURE_FOR = 1.0  # seconds in which a connection is reused without a check whether it is still open
_MOST_HOSTS = 64  # hosts with idle connections: redirects to ever new hosts must not fill the table
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NO_TUNNEL = (OSError, http.client.HTTPException)


class _Target(NamedTuple):
    """The other end of a connection."""

    scheme: str
    netloc: str
    host: str
    port: int


class _Connection(NamedTuple):
    """Attributes:
    reach: what the address at its end belongs to; not known behind a proxy.
    """

    socket: socket.socket
    reach: Reach

    def close(self) -> None:
        self.socket.close()


_Idle = defaultdict[_Target, list[tuple[_Connection, float]]]
"""Connections, and since when (of `time.monotonic`) nobody uses them."""


@functools.lru_cache(maxsize=256)
def _target(server: str) -> _Target:
    parts = urlsplit(server)
    scheme = parts.scheme.lower()
    port = parts.port or _DEFAULT_PORTS.get(scheme, 80)
    return _Target(scheme, parts.netloc.rpartition("@")[2], parts.hostname or "", port)


class Connections:
    """A pool of connections for many threads.

    Args:
        home: the registry's address.
        size: idle connections that are kept for each host.
        verify: True for the system's and certifi's certificate authorities, False for none, or the path of a PEM file:
            of the only authorities to trust at home, and of some more elsewhere.
        certificate: the client's own, shown to the registry alone.
        slowest: bytes a second; an answer that is slower for as long as its read timeout is given up. 0 for no limit.
    """

    def __init__(
        self,
        home: str,
        size: int,
        *,
        verify: bool | str = True,
        certificate: ClientCertificate | None = None,
        slowest: float = SLOWEST,
    ) -> None:
        self._home = origin(home)
        self._home_reach: Reach | None = None  # not known before it was first connected to
        self._slowest = slowest
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
        most: Reach = Reach.PUBLIC,
    ) -> Answer:
        """Send one request and read the header of its answer; the body is not read yet.

        Args:
            timeout: seconds to connect, and for each read.
            ended: called once the body was read or given up, or there was no answer.
            most: what the address that is connected to may belong to. The registry's own address is not restricted at
                first; later ones may not be less public.

        Raises:
            ConnectionFailed: or one of its kinds.
            UnsafeRedirect: the address is not allowed.
        """
        server, path = cut(url)
        connection: _Connection | None = None
        try:
            target = _target(server)
            connection = self._reused(target, most) or self._connected(target, timeout[0], most)
            if target.scheme == "http" and (proxy := self._proxies[target]) is not None:
                path = f"http://{target.netloc}{path}"
                headers = {**headers, **proxy_authorization(proxy)}
            head = _head(method, path, target.netloc, headers, body)
            if connection.socket.gettimeout() != timeout[1]:
                connection.socket.settimeout(timeout[1])
            _send(connection.socket, head, body)
            incoming = Incoming(connection.socket, self._slowest, timeout[1])
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

    def _reused(self, target: _Target, most: Reach) -> _Connection | None:
        idle = self._idle[target]
        while idle:
            try:
                connection, since = idle.pop()
            except IndexError:  # another thread was faster
                return None
            is_allowed = connection.reach <= most or self._is_home(target)
            if is_allowed and (time.monotonic() - since < _SURE_FOR or not _was_dropped(connection.socket)):
                return connection
            connection.close()
        return None

    def _take_back(self, target: _Target, connection: _Connection, keep: bool) -> None:
        if len(self._idle) > _MOST_HOSTS:
            self._forget_others(target)
        idle = self._idle[target]
        if keep and len(idle) < self._size:
            idle.append((connection, time.monotonic()))
        else:
            connection.close()

    def _forget_others(self, target: _Target) -> None:
        with self._lock:
            for other in [other for other in list(self._idle) if other != target and not self._is_home(other)]:
                _close_all(self._idle.pop(other))

    def _is_home(self, target: _Target) -> bool:
        return (target.scheme, target.host, target.port) == self._home

    def _connected(self, target: _Target, timeout: float | None, most: Reach) -> _Connection:
        proxy = self._proxy(target)
        context = self._tls(target) if target.scheme == "https" else None
        if proxy is None:
            connection, reach = self._connected_directly(target, timeout, most)
        else:
            connection, reach = to_proxy(proxy, timeout), Reach.PUBLIC
        try:
            if context is None:
                return _Connection(connection, reach)
            if proxy is not None:
                open_tunnel(connection, proxy, target.host, target.port)
            return _Connection(encrypted(connection, context, target.host), reach)
        except BaseException as error:
            connection.close()
            if proxy is None or isinstance(error, ssl.SSLError) or not isinstance(error, _NO_TUNNEL):
                raise
            raise proxy_failed(proxy, error) from None

    def _connected_directly(self, target: _Target, timeout: float | None, most: Reach) -> tuple[socket.socket, Reach]:
        found = resolve(target.host, target.port)
        if self._is_home(target):
            if self._home_reach is None:
                self._home_reach = most_of_named(target.host, found)
            most = self._home_reach
        return connect(allowed(found, target.host, most), timeout)

    def _proxy(self, target: _Target) -> SplitResult | None:
        """The proxy that the environment names for `target`: looked up once, since that costs more than a request."""
        if target not in self._proxies:
            self._proxies[target] = proxy_for(f"{target.scheme}://{target.netloc}")
        return self._proxies[target]

    def _tls(self, target: _Target) -> ssl.SSLContext:
        url = f"{target.scheme}://{target.netloc}"
        at_home = self._is_home(target)
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
        _close_all(idle)


def _close_all(idle: list[tuple[_Connection, float]]) -> None:
    while idle:
        idle.pop()[0].close()


def _send(connection: socket.socket, head: bytes, body: Payload | None) -> None:
    if not isinstance(body, RequestBody):
        connection.sendall(head + body if body else head)
        return
    connection.sendall(head)
    # A server that closes early has usually sent the reason: the answer is read.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in body.framed():
            connection.sendall(piece)


def _head(method: str, path: str, host: str, headers: Mapping[str, str], body: Payload | None) -> bytes:
    """A request up to its body (RFC 9112, 3).

    Raises:
        ValueError: a path or field with a line break, or with characters outside Latin-1.
    """
    if not (path.isascii() and path.isprintable() and " " not in path):
        raise ValueError(f"no path of a URL: {path[:200]!r}")
    length = _stated_length(method, body)
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers):
        raise ValueError("a header field with a line break")
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{fields}\r\n".encode("latin-1")


def _stated_length(method: str, body: Payload | None) -> str:
    if isinstance(body, RequestBody):
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


def _was_dropped(connection: socket.socket) -> bool:
    """Whether the other side closed the connection, or sent data without a request."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))
