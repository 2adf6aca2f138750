"""Origins, and which hops from one to another a client may follow."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit, urlunsplit

from regscope.errors import UnsafeRedirect

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of `url`, the port filled in."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme)


def same_origin(a: str, b: str) -> bool:
    """Whether two URLs share scheme, host and port."""
    return origin(a) == origin(b)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, as written: `localhost`, 127.0.0.0/8 or ::1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def check_hop(source: str, target: str) -> None:
    """Refuse a redirect, `Link` or token realm that leaves safe ground.

    Raises:
        UnsafeRedirect: from https to http, to something that is not HTTP, or from a public host to a loopback,
            link-local or private address.
    """
    (from_scheme, from_host, _), (to_scheme, to_host, _) = origin(source), origin(target)
    if to_scheme not in _DEFAULT_PORTS or not to_host:
        raise _unsafe(source, target, "is not an HTTP address")
    if (from_scheme, to_scheme) == ("https", "http"):
        raise _unsafe(source, target, "is not encrypted, and the registry is")
    if from_host != to_host and _is_internal(to_host) and not _is_internal(from_host):
        raise _unsafe(source, target, "is inside a private network, and the registry is not")


def without_secrets(url: str) -> str:
    """`url` without user, password, query and fragment: fit for an error message."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_internal(host: str) -> bool:
    address = _address(host)
    return is_loopback(host) if address is None else not address.is_global


def _unsafe(source: str, target: str, why: str) -> UnsafeRedirect:
    return UnsafeRedirect(
        f"{without_secrets(source)} points to {without_secrets(target)}, which {why}: not followed",
        url=without_secrets(target),
        next_step="Ask whoever runs the registry to correct the address that it hands out.",
    )
