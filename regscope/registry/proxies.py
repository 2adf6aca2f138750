"""The proxies that the environment names (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`), reached by plain HTTP."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit

from requests.utils import get_environ_proxies, select_proxy

from regscope.errors import ConnectionFailed
from regscope.registry.addresses import is_loopback
from regscope.registry.failures import connection_error
from regscope.registry.origin import without_secrets

_CHECK = "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the environment."


def proxy_for(url: str) -> SplitResult | None:
    """The proxy for `url`; None where there is none. Loopback addresses never use one.

    Raises:
        ConnectionFailed: the proxy's own scheme is not http.
    """
    # Credentials that may be sent to this machine in the clear must not pass through a proxy.
    if is_loopback(urlsplit(url).hostname or ""):
        return None
    named = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    proxy = urlsplit(named if "://" in named else f"http://{named}") if named else None
    if proxy is not None and proxy.scheme != "http":
        raise ConnectionFailed(
            f"the proxy {without_secrets(proxy.geturl())} is not one that is reached by http",
            url=url,
            next_step="Name an http:// proxy in HTTPS_PROXY and HTTP_PROXY, or this host in NO_PROXY.",
        )
    return proxy


def proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    """The `Proxy-Authorization` header for the user and password in the proxy's address; empty without them."""
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}


def proxy_failed(proxy: SplitResult, error: Exception) -> ConnectionFailed:
    """The error for a proxy that cannot be reached, or that refuses a tunnel."""
    shown, cause = without_secrets(proxy.geturl()), connection_error(error, proxy.geturl())
    return type(cause)(f"the proxy {shown} cannot be used: {cause.message}", url=cause.url, next_step=_CHECK)
