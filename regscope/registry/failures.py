"""Errors of connections, as errors of regscope with a next step."""

from __future__ import annotations

import http.client
import socket
import ssl

from regscope.errors import ConnectionFailed, TimedOut, TLSFailed, UnknownHost
from regscope.registry.framing import TooSlow
from regscope.registry.origin import origin, without_secrets
from regscope.text import plain


def connection_error(error: Exception, url: str) -> ConnectionFailed:
    """The error of regscope for what the socket, TLS or HTTP layer raised during a request to `url`."""
    shown, (_, host, port) = without_secrets(url), origin(url)
    text = plain(error, 300)
    if isinstance(error, socket.gaierror | UnicodeError):
        return UnknownHost(
            f"there is no host named {plain(host, 300)}",
            url=shown,
            next_step="Check the spelling, and that this machine can resolve the name.",
        )
    if isinstance(error, ssl.SSLError):
        return TLSFailed(f"no trusted connection to {host}:{port}: {text}", url=shown, next_step=_tls_step(text))
    if isinstance(error, TooSlow):
        return TimedOut(
            f"{host}:{port} answers too slowly: {text}",
            url=shown,
            next_step="Try again, or lower the limit (bytes a second, 0 for none): slowest, REGSCOPE_SLOWEST.",
        )
    if isinstance(error, TimeoutError):
        return TimedOut(
            f"{host}:{port} did not answer in time", url=shown, next_step="Try again, or allow a longer timeout."
        )
    if isinstance(error, ConnectionRefusedError):
        return ConnectionFailed(
            f"{host}:{port} refused the connection: nothing listens there",
            url=shown,
            next_step="Check the port, and that the registry is running.",
        )
    if isinstance(error, http.client.IncompleteRead):
        missing = "" if error.expected is None else f", {error.expected:,} bytes before its end"
        text = f"the answer was cut short{missing}"
    return ConnectionFailed(
        f"the connection to {host}:{port} broke: {text or type(error).__name__}",
        url=shown,
        next_step="Try again: what was read is kept.",
    )


def _tls_step(text: str) -> str:
    refused = "_ALERT_" in text and ("CERTIFICATE" in text or "UNKNOWN_CA" in text)  # the other side's word on ours
    if refused or "EOF occurred" in text:  # which is lost where it hangs up first
        return "The registry wants a client certificate that it knows: client_certificate='client.pem', --client-cert."
    if "expired" in text:
        return "The registry's certificate has expired: it must be renewed."
    if "WRONG_VERSION_NUMBER" in text or "wrong version number" in text:
        return "The other side speaks no TLS: write http:// before the address if that is meant."
    return "Name the certificate authority (verify='ca.pem', --ca ca.pem), or allow it for this host (insecure)."
