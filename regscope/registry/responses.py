"""What a registry answered: bounded bodies, and its errors as ours (distribution-spec, Error Codes)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import requests
import urllib3

from regscope.errors import (
    AuthFailed,
    ConnectionFailed,
    PermissionDeny,
    RequestError,
    RequestErrorWithResponse,
    ResourceNotFound,
    TimedOut,
    TLSFailed,
    TooLarge,
    TooManyRequests,
    UnknownHost,
    Unsupported,
)
from regscope.registry.origin import origin, without_secrets
from regscope.text import plain

METADATA_LIMIT = 8 * 2**20
"""Largest manifest or image config that is read, in bytes: the spec asks for at least 4 MiB."""

_ERROR_LIMIT = 64 * 2**10
_READ_ATTEMPTS = 3

_KINDS: dict[int, type[RequestErrorWithResponse]] = {
    401: AuthFailed,
    403: PermissionDeny,
    404: ResourceNotFound,
    405: Unsupported,
    429: TooManyRequests,
}
_NEXT_STEPS = {
    401: "Check the user name and password, or log in with `docker login`.",
    403: "Ask for the permission, or use other credentials.",
    404: "Check the spelling; a private registry may also hide what these credentials may not see.",
    405: "This registry does not offer the operation; its administrator may have switched it off.",
    429: "Wait a while and try again, with fewer requests at once.",
}


def read_bounded(response: requests.Response, limit: int, what: str) -> bytes:
    """The whole body of a streamed response.

    Raises:
        TooLarge: the body is announced as, or turns out to be, more than `limit` bytes.
        ConnectionFailed: the body ended early.
    """
    announced = content_length(response)
    if announced is not None and announced > limit:
        response.close()
        raise too_large(what, announced, limit)
    try:
        body: bytes = response.raw.read(limit + 1, decode_content=True)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        response.close()
        raise connection_error(error, response.url) from None
    if len(body) > limit:
        response.close()
        raise too_large(what, None, limit)
    response.raw.release_conn()
    return body


def content_length(response: requests.Response) -> int | None:
    """The size (bytes) that a response announces; None where it announces none, or nonsense."""
    announced = response.headers.get("Content-Length", "")
    return int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 20 else None


def read_whole(ask: Callable[[], requests.Response], limit: int, what: str) -> tuple[requests.Response, bytes]:
    """Ask, and read the whole body; ask again, up to twice, where it ended early."""
    for _ in range(_READ_ATTEMPTS - 1):
        response = ask()
        with contextlib.suppress(ConnectionFailed):
            return response, read_bounded(response, limit, what)
    response = ask()
    return response, read_bounded(response, limit, what)


def discard(response: requests.Response) -> None:
    """Let go of a response whose body nobody wants; its connection stays usable if the body is short."""
    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
        response.raw.read(_ERROR_LIMIT)
        if response.raw.closed or response.raw.length_remaining == 0:
            response.raw.release_conn()
            return
    response.close()


def too_large(what: str, size: int | None, limit: int) -> TooLarge:
    """The error for `what`, which has `size` bytes (None: more than were read)."""
    claimed = f"{size:,} bytes" if size is not None else f"more than {limit:,} bytes"
    return TooLarge(
        f"{what} has {claimed}, and regscope reads at most {limit:,} of its kind",
        next_step="It is not a sane one: look at who pushed it. Leave its tag out to read the rest.",
    )


def read_json(response: requests.Response, limit: int, what: str) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        RequestErrorWithResponse: it is none, as where the address is not a registry at all.
    """
    return parse_json(response, read_bounded(response, limit, what), what)


def parse_json(response: requests.Response, body: bytes, what: str) -> dict[str, Any]:
    """`body`, which was read from `response`, as a JSON object.

    Raises:
        RequestErrorWithResponse: it is none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RequestErrorWithResponse(
            f"{what} at {without_secrets(response.url)} is not a JSON object",
            response.status_code,
            url=without_secrets(response.url),
            next_step="Check that the address is a registry's: its API answers under /v2/.",
        )
    return document


def error_from(response: requests.Response) -> RequestErrorWithResponse:
    """The error that a response stands for."""
    status, url = response.status_code, without_secrets(response.url)
    code, message = _stated_error(response)
    kind = _KINDS.get(status, RequestErrorWithResponse)
    if code == "UNSUPPORTED":
        kind, status_step = Unsupported, _NEXT_STEPS[405]
    else:
        status_step = _NEXT_STEPS.get(status, "Try again later; the registry's log may say more.")
    if status == 400 and "HTTPS" in message:  # Go's and nginx's answer to HTTP on a port that speaks TLS
        status_step = "The other side speaks TLS: write https:// before the address."
    reason = message or _phrase(status)
    said = f"{code}: {reason}" if code else reason
    return kind(
        f"{response.request.method} {url}: {status} {said}", status, response, code=code, url=url, next_step=status_step
    )


def _stated_error(response: requests.Response) -> tuple[str | None, str]:
    body = b""
    try:
        body = response.raw.read(_ERROR_LIMIT, decode_content=True) or b""
        first = json.loads(body)["errors"][0]
        return plain(first.get("code") or "", 80) or None, plain(first.get("message") or "", 300)
    except (urllib3.exceptions.HTTPError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None, plain(body.decode(errors="replace").strip(), 300) if response.status_code == 400 else ""
    finally:
        response.close()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"


def connection_error(error: Exception, url: str) -> RequestError:
    """What requests or urllib3 raised, as one of ours that says what to do."""
    shown, (_, host, port) = without_secrets(url), origin(url)
    cause = _root(error)
    text = plain(cause, 300)
    if isinstance(cause, urllib3.exceptions.NameResolutionError) or "Name or service not known" in text:
        return UnknownHost(
            f"there is no host named {host}",
            url=shown,
            next_step="Check the spelling, and that this machine can resolve the name.",
        )
    if (
        isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError)
        or "SSL" in type(cause).__name__
        or "CA certificate" in text  # the file of an authority that is not there
    ):
        return TLSFailed(f"no trusted connection to {host}:{port}: {text}", url=shown, next_step=_tls_step(text))
    timeouts = requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError
    if isinstance(error, timeouts) or isinstance(cause, timeouts):
        return TimedOut(
            f"{host}:{port} did not answer in time", url=shown, next_step="Try again, or allow a longer timeout."
        )
    if isinstance(cause, ConnectionRefusedError) or "refused" in text:
        return ConnectionFailed(
            f"{host}:{port} refused the connection: nothing listens there",
            url=shown,
            next_step="Check the port, and that the registry is running.",
        )
    return ConnectionFailed(
        f"the connection to {host}:{port} broke: {text}", url=shown, next_step="Try again: what was read is kept."
    )


def _root(error: BaseException) -> BaseException:
    """The innermost cause: requests wraps urllib3, which wraps the socket's own error."""
    for _ in range(10):
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        inner = inner or error.__cause__
        if not isinstance(inner, BaseException):
            break
        if isinstance(error, urllib3.exceptions.NameResolutionError):
            break
        error = inner
    return error


def _tls_step(text: str) -> str:
    if "expired" in text:
        return "The registry's certificate has expired: it must be renewed."
    if "WRONG_VERSION_NUMBER" in text or "wrong version number" in text:
        return "The other side speaks no TLS: write http:// before the address if that is meant."
    return "Name the certificate authority (verify='ca.pem', --ca ca.pem), or allow it for this host (insecure)."
