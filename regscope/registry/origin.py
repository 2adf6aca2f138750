"""Origins, and which hops from one to another a client may follow."""

from __future__ import annotations

import functools
import ipaddress
import socket
import time
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from regscope import masking
from regscope.errors import UnsafeRedirect
from regscope.text import plain

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAMES_HOLD_FOR = 60  # seconds for which what a name resolves to is believed


def cut(url: str) -> tuple[str, str]:
    """`url` in two: what names the server, and what is asked of it."""
    end = url.find("/", url.find("://") + 3)
    server = url[:end]
    if end < 0 or "?" in server or "#" in server:
        parts = _split(url)
        return urlunsplit((parts.scheme, parts.netloc, "", "", "")), urlunsplit(("", "", "/", parts.query, ""))
    return server, url[end:].partition("#")[0]


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of `url`, the port filled in; nothing of them where it is no URL."""
    return _origin(cut(url)[0])


@functools.lru_cache(maxsize=256)  # asked for several times in each request
def _origin(url: str) -> tuple[str, str, int | None]:
    parts = _split(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme)


def resolved(base: str, location: str) -> str:
    """The address that a `Location` or `Link` on the page `base` means.

    Raises:
        UnsafeRedirect: it is none.
    """
    try:
        target = urljoin(base, location)
    except ValueError:
        target = ""
    if not origin(target)[1]:
        raise _unsafe(base, location, "is no address")
    return target


def same_origin(a: str, b: str) -> bool:
    """Whether two URLs share scheme, host and port."""
    if a.startswith(b) and a[len(b) : len(b) + 1] == "/" and "://" in b:  # as nearly always, and the quicker answer
        return True
    return origin(a) == origin(b)


@functools.lru_cache(maxsize=256)
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
            link-local or private address, by number or by a name that resolves to one.
    """
    (from_scheme, from_host, _), (to_scheme, to_host, _) = origin(source), origin(target)
    if to_scheme not in _DEFAULT_PORTS or not to_host:
        raise _unsafe(source, target, "is not an HTTP address")
    if (from_scheme, to_scheme) == ("https", "http"):
        raise _unsafe(source, target, "is not encrypted, and the registry is")
    if from_host != to_host and _is_internal(to_host) and not _is_internal(from_host):
        raise _unsafe(source, target, "is inside a private network, and the registry is not")


def without_secrets(url: str) -> str:
    """An address as it is shown: without secrets, and no longer than a line or two."""
    return plain(masking.without_secrets(url), 500)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # what follows the colon may be no port
    except ValueError:
        return SplitResult("", "", without_secrets(url), "", "")
    return parts


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _numeric_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def _numeric_address(host: str) -> ipaddress.IPv4Address | None:
    """The forms of an IPv4 address that only the resolver understands: `127.1`, `0x7f000001`, `2130706433`."""
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdecimal() else None
    except (OSError, UnicodeEncodeError):
        return None


def _is_internal(host: str) -> bool:
    """Whether `host` is in a private network, or this machine; of a name, whether one of its addresses is."""
    address = _address(host)
    if address is not None:
        return not address.is_global
    return is_loopback(host) or _resolves_inside(host, int(time.monotonic() // _NAMES_HOLD_FOR))


@functools.lru_cache(maxsize=256)
def _resolves_inside(host: str, _period: int) -> bool:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):  # whoever is asked to connect will say so
        return False
    return any(not address.is_global for text in found if (address := _address(text)) is not None)


def _unsafe(source: str, target: str, why: str) -> UnsafeRedirect:
    return UnsafeRedirect(
        f"{without_secrets(source)} points to {without_secrets(target)}, which {why}: not followed",
        url=without_secrets(target),
        next_step="Ask whoever runs the registry to correct the address that it hands out.",
    )
