"""A forward proxy as networks have at their border: plain requests and CONNECT, with a password if it wants one."""

from __future__ import annotations

import base64
import http.client
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from .loopback import LoopbackHandler, LoopbackServer
from .passing_on import pieces_between


class ForwardProxy(LoopbackServer):
    """Leads to the hosts in `names`, which nothing else can resolve, each an address of this machine.

    `requests` has the method and the target of each request that came, `leaked` each `Authorization` that the proxy
    could read.
    """

    def __init__(self, names: Mapping[str, str], *, login: str = "") -> None:
        owner = self

        class Handler(_Handler):
            proxy = owner

        super().__init__(Handler)
        self.names = dict(names)
        self.login = login
        self.requests: list[tuple[str, str]] = []
        self.refused = 0
        self.leaked: list[str] = []

    def knows(self, header: str | None) -> bool:
        """Whether a `Proxy-Authorization` is good enough."""
        expected = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        return not self.login or header == expected

    def address(self, netloc: str) -> tuple[str, int]:
        """Where a host and port really are."""
        host, _, port = self.names[netloc].partition(":")
        return host, int(port)


class _Handler(LoopbackHandler):
    proxy: ForwardProxy

    def _is_let_in(self) -> bool:
        if self.proxy.knows(self.headers.get("Proxy-Authorization")):
            self.proxy.requests.append((self.command, self.path))
            return True
        self.proxy.refused += 1
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="border"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self) -> None:  # noqa: N802
        if not self._is_let_in():
            return
        with socket.create_connection(self.proxy.address(self.path)) as upstream:
            self.send_response_only(200)
            self.end_headers()
            for _, target, piece in pieces_between(self.connection, upstream):
                target.sendall(piece)
        self.close_connection = True

    def _forward(self) -> None:
        if not self._is_let_in():
            return
        parts = urlsplit(self.path)
        if "Authorization" in self.headers:
            self.proxy.leaked.append(self.headers["Authorization"])
        headers = {name: value for name, value in self.headers.items() if not name.startswith("Proxy-")}
        upstream = http.client.HTTPConnection(*self.proxy.address(parts.netloc))
        upstream.request(self.command, parts._replace(scheme="", netloc="").geturl(), self.read_body(), headers)
        with upstream.getresponse() as answer:
            body = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(body)
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            self.wfile.write(body)
        upstream.close()

    do_GET = do_HEAD = do_POST = _forward
