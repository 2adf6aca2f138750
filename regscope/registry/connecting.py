"""Opening one connection: to an allowed address, with TLS, and through a proxy."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import SplitResult

from regscope.errors import UnsafeRedirect
from regscope.registry.addresses import Reach, Resolved, is_loopback, resolve, written_address
from regscope.registry.framing import Incoming
from regscope.registry.proxies import proxy_authorization, proxy_failed

_PROXY_PORT = 80


def allowed(found: Sequence[Resolved], host: str, most: Reach) -> list[Resolved]:
    """The addresses of `host` that may be connected to.

    Args:
        most: how far they may reach.

    Raises:
        UnsafeRedirect: none of its addresses is allowed.
    """
    on_this_machine = is_loopback(host)
    good = [each for each in found if each.reach <= most and (not on_this_machine or is_loopback(each.text))]
    if not good:
        what = "another machine" if on_this_machine else "in a private network, or a cloud's metadata service"
        raise UnsafeRedirect(
            f"{host} resolves to {', '.join(each.text for each in found)}, which is {what}: not connected",
            next_step="Ask whoever runs the registry to correct the address, or open the registry by its IP address.",
        )
    return good


def most_of_named(host: str, found: Sequence[Resolved]) -> Reach:
    """What the addresses of the registry that the user named may belong to, by those that it has at first.

    A cloud's metadata address is allowed only where the user wrote the IP address: a host name's owner can change
    where it leads.
    """
    if written_address(host) is not None:
        return Reach.METADATA
    return min(max(each.reach for each in found), Reach.PRIVATE)


def connect(addresses: Sequence[Resolved], timeout: float | None) -> tuple[socket.socket, Reach]:
    """A connection to the first address that accepts one, and what that address belongs to.

    Raises:
        OSError: no address accepted a connection.
    """
    trouble = OSError("there is no address to connect to")
    for address in addresses:
        connection = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(address.sockaddr)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection, address.reach
        except OSError as error:
            connection.close()
            trouble = error
    raise trouble


def to_proxy(proxy: SplitResult, timeout: float | None) -> socket.socket:
    """A connection to a proxy. The user has named it: its address is not restricted.

    Raises:
        ConnectionFailed: it cannot be connected to.
    """
    try:
        return connect(resolve(proxy.hostname or "", proxy.port or _PROXY_PORT), timeout)[0]
    except (OSError, UnicodeError) as error:
        raise proxy_failed(proxy, error) from None


def open_tunnel(connection: socket.socket, proxy: SplitResult, host: str, port: int) -> None:
    """Open a tunnel to `host` through a proxy (CONNECT: RFC 9110, 9.3.6).

    Raises:
        OSError, HTTPException: the proxy refused.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host.encode('idna').decode()}:{port}"
    fields = "".join(f"{name}: {value}\r\n" for name, value in proxy_authorization(proxy).items())
    connection.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{fields}\r\n".encode("latin-1"))
    incoming = Incoming(connection)
    header = incoming.header("CONNECT")
    if not 200 <= header.status < 300:
        raise OSError(f"Tunnel connection failed: {header.status} {header.reason}")
    if incoming.has_more:
        raise http.client.HTTPException("the proxy sent data before the TLS handshake")


def encrypted(connection: socket.socket, context: ssl.SSLContext, host: str) -> socket.socket:
    """The connection with TLS; it is closed where the handshake fails."""
    try:
        return context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise
