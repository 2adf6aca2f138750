"""Origins (scheme, host and port), and which redirects from one to another a client may follow."""

from __future__ import annotations

import functools
import re
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from regscope import masking
from regscope.errors import UnsafeRedirect
from regscope.registry.addresses import Reach, reach_of_host
from regscope.text import plain

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f]")


def cut(url: str) -> tuple[str, str]:
    """`url` in two parts: scheme and host; path and query."""
    end = url.find("/", url.find("://") + 3)
    server = url[:end]
    if end < 0 or "?" in server or "#" in server:
        parts = _split(url)
        return urlunsplit((parts.scheme, parts.netloc, "", "", "")), urlunsplit(("", "", "/", parts.query, ""))
    return server, url[end:].partition("#")[0]


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of `url`, the port filled in; empty where it is no URL."""
    return _origin(cut(url)[0])


@functools.lru_cache(maxsize=256)  # called several times for each request
def _origin(url: str) -> tuple[str, str, int | None]:
    parts = _split(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme)


def is_address(url: str) -> bool:
    """Whether `url` has a host, without a blank in it, and no NUL anywhere."""
    return bool(origin(url)[1]) and not _NO_ADDRESS.search(cut(url)[0]) and "\0" not in url


def resolved(base: str, location: str) -> str:
    """The absolute URL that a `Location` or `Link` in the answer of `base` means.

    Raises:
        UnsafeRedirect: it is no valid URL.
    """
    try:
        target = urljoin(base, location)
    except ValueError:
        target = ""
    if not is_address(target):
        raise _unsafe(base, location, "is no address")
    return target


def same_origin(a: str, b: str) -> bool:
    """Whether two URLs share scheme, host and port."""
    if a.startswith(b) and a[len(b) : len(b) + 1] == "/" and "://" in b:  # the usual case, and a fast test
        return True
    return origin(a) == origin(b)


def check_hop(source: str, target: str) -> Reach:
    """Refuse an unsafe redirect, `Location`, `Link` or token realm.

    Returns:
        What the address that is connected to for `target` may belong to.

    Raises:
        UnsafeRedirect: from https to http, to something that is not HTTP, from a public host to a loopback, link-local
            or private address, or from anywhere to a cloud's metadata; by number or by a name that resolves to one.
    """
    (from_scheme, from_host, _), (to_scheme, to_host, _) = origin(source), origin(target)
    if to_scheme not in _DEFAULT_PORTS or not to_host:
        raise _unsafe(source, target, "is not an HTTP address")
    if (from_scheme, to_scheme) == ("https", "http"):
        raise _unsafe(source, target, "is not encrypted, and the registry is")
    most = min(reach_of_host(from_host), Reach.PRIVATE)
    to = reach_of_host(to_host)
    if to == Reach.METADATA:
        raise _unsafe(source, target, "is where a cloud keeps its machines' credentials")
    if to > most:
        raise _unsafe(source, target, "is inside a private network, and the registry is not")
    return most


def without_secrets(url: str) -> str:
    """A URL for messages: without secrets, and cut to a line or two."""
    return plain(masking.without_secrets(url), 500)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # the text after the colon may be no port
    except ValueError:
        return SplitResult("", "", without_secrets(url), "", "")
    return parts


def _unsafe(source: str, target: str, why: str) -> UnsafeRedirect:
    return UnsafeRedirect(
        f"{without_secrets(source)} points to {without_secrets(target)}, which {why}: not followed",
        url=without_secrets(target),
        next_step="Ask whoever runs the registry to correct the address that it sends.",
    )
