"""Answers of a registry: bodies of bounded size, and errors (distribution-spec, Error Codes) as errors of regscope."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from regscope.errors import (
    AuthFailed,
    ConnectionFailed,
    PermissionDeny,
    RequestErrorWithResponse,
    ResourceNotFound,
    TimedOut,
    TooLarge,
    TooManyRequests,
    Unsupported,
)
from regscope.registry.answer import Answer
from regscope.registry.framing import whole_number
from regscope.registry.http_response import response_of
from regscope.registry.origin import without_secrets
from regscope.spec.retry_after import is_rate_limited, wait_asked_for
from regscope.text import plain

METADATA_LIMIT = 8 * 2**20
"""Largest manifest or image config that is read, in bytes: the spec asks for at least 4 MiB."""

_PIECE = 2**16  # bytes: most metadata is smaller, and the time limit is looked at after each piece
_LONGEST_READ = 600  # seconds for a body that is read as a whole
_MOST_VALUES = 2_000_000  # of a JSON document: a value of a few bytes can take a hundred bytes of memory
_ERROR_LIMIT = 64 * 2**10
_ERRORS_SHOWN = 3
_READ_ATTEMPTS = 3
_LONGEST_WAIT_SHOWN = 10 * 365 * 86400  # seconds; larger numbers are taken for this one

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
    407: "Write the proxy's user and password into HTTP_PROXY and HTTPS_PROXY: http://name:password@proxy:3128.",
    413: "A proxy before the registry takes no request of this size: whoever runs it can raise its limit "
    "(nginx: client_max_body_size).",
    429: "Wait a while and try again, with fewer requests at once.",
}


def read_bounded(response: Answer, limit: int, what: str) -> bytes:
    """The whole body of a streamed response.

    Raises:
        TooLarge: the body has more than `limit` bytes, stated or real.
        ConnectionFailed: the body ended early, or takes too long.
    """
    announced = content_length(response)
    if announced is not None and announced > limit:
        response.close()
        raise too_large(what, announced, limit)
    first = min(limit + 1, _PIECE)
    body: bytes = response.raw.read(first)
    if len(body) == first <= limit:
        body += _rest(response, limit + 1 - first, what)
    response.raw.close()
    if len(body) > limit:
        raise too_large(what, None, limit)
    return body


def _rest(response: Answer, left: int, what: str) -> bytes:
    """Up to `left` bytes more, within the time limit."""
    pieces: list[bytes] = []
    until = time.monotonic() + _LONGEST_READ
    while left:
        wanted = min(left, _PIECE)
        pieces.append(response.raw.read(wanted))
        left -= len(pieces[-1])
        if len(pieces[-1]) < wanted:
            break
        if time.monotonic() > until:
            response.raw.close()
            raise _too_long(what, response)
    return b"".join(pieces)


def _too_long(what: str, response: Answer) -> TimedOut:
    return TimedOut(
        f"{what} did not arrive within {_LONGEST_READ} s",
        url=without_secrets(response.url),
        next_step="Try again over a faster connection. If that fails too, report it to whoever runs the registry.",
    )


def content_length(response: Answer) -> int | None:
    """The Content-Length of a response (bytes); None where it has none, or no valid one."""
    return whole_number(response.headers.get("Content-Length", ""))


def read_whole(ask: Callable[[], Answer], limit: int, what: str) -> tuple[Answer, bytes]:
    """Send a request and read the whole body; repeat that, up to twice, where the body ended early."""
    for _ in range(_READ_ATTEMPTS - 1):
        response = ask()
        with contextlib.suppress(ConnectionFailed):
            return response, read_bounded(response, limit, what)
    response = ask()
    return response, read_bounded(response, limit, what)


def discard(response: Answer) -> None:
    """Drop a response without its body; the connection stays usable if the body is short."""
    short_body(response)


def too_large(what: str, size: int | None, limit: int) -> TooLarge:
    """The error for `what`, which has `size` bytes (None: more than were read)."""
    claimed = f"{size:,} bytes" if size is not None else f"more than {limit:,} bytes"
    return TooLarge(
        f"{what} has {claimed}, and regscope reads at most {limit:,} of its kind",
        next_step="It is not a sane one: look at who pushed it. Leave its tag out to read the rest.",
    )


def read_json(response: Answer, limit: int, what: str) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        RequestErrorWithResponse: it is no JSON object, for example since the address is not a registry's.
    """
    return parse_json(response, read_bounded(response, limit, what), what)


def parse_json(response: Answer, body: bytes, what: str) -> dict[str, Any]:
    """`body`, which was read from `response`, as a JSON object.

    Raises:
        RequestErrorWithResponse: it is no JSON object.
        TooLarge: it has too many values.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise TooLarge(
            f"{what} has more than {_MOST_VALUES:,} values",
            next_step="Report it to whoever runs the registry: no ordinary document is so large.",
        )
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


def error_from(response: Answer) -> RequestErrorWithResponse:
    """The error of regscope for an answer with an error status."""
    status, url = response.status_code, without_secrets(response.url)
    body = short_body(response)
    code, message = _stated_error(body, status)
    is_limited = is_rate_limited(status, response.headers)
    kind = TooManyRequests if is_limited else _KINDS.get(status, RequestErrorWithResponse)
    if code == "UNSUPPORTED":
        kind, status_step = Unsupported, _NEXT_STEPS[405]
    elif (wait := wait_asked_for(response.headers)) is not None and (is_limited or status == 503):
        back = datetime.now(UTC) + timedelta(seconds=min(wait, _LONGEST_WAIT_SHOWN))
        status_step = f"The registry asks to be left alone until {back:%Y-%m-%d %H:%M} UTC: try again then."
    else:
        status_step = _NEXT_STEPS.get(status, "Try again later; the registry's log may say more.")
    if code == "NAME_UNKNOWN" and response.method not in ("GET", "HEAD"):  # ECR
        status_step = "Create the repository there first: this registry makes none by itself."
    if status == 400 and "HTTPS" in message:  # Go's and nginx's answer to HTTP on a port that speaks TLS
        status_step = "The other side speaks TLS: write https:// before the address."
    reason = message or _phrase(status)
    said = f"{code}: {reason}" if code else reason
    return kind(
        f"{response.method} {url}: {status} {said}",
        status,
        response_of(response, body),
        code=code,
        url=url,
        next_step=status_step,
    )


def short_body(response: Answer) -> bytes:
    """The first of a body, as much as an error may have to say; the rest is let go of."""
    body = b""
    with contextlib.suppress(ConnectionFailed):
        body = response.raw.read(_ERROR_LIMIT)
    response.raw.close()
    return body


def _stated_error(body: bytes, status: int) -> tuple[str | None, str]:
    try:
        document = json.loads(body)
        if isinstance(document.get("message"), str):  # the own API of a provider
            return None, plain(document["message"], 300)
        return _joined(document["errors"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None, plain(body.decode(errors="replace").strip(), 300) if status == 400 else ""


def _joined(errors: list[dict[str, Any]]) -> tuple[str | None, str]:
    """Code and message of the first error that has any, followed by the messages of the others."""
    stated = [
        (plain(each.get("code") or "", 80), plain(each.get("message") or "", 300)) for each in errors[:_ERRORS_SHOWN]
    ]
    stated.sort(key=lambda pair: pair[0] in ("", "UNKNOWN"))
    (code, message), *others = stated
    return code or None, "; ".join([message, *(": ".join(filter(None, pair)) for pair in others)])


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"
