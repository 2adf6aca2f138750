"""The options of one request to a registry."""

from __future__ import annotations

from collections.abc import Mapping
from math import isinf
from typing import Any, Literal, TypeAlias, TypedDict

Timeout: TypeAlias = float | tuple[float, float] | None
"""Seconds: one number for both, or a pair: to connect, and for each read. None for no limit."""

AskTimeout: TypeAlias = Timeout | Literal["default"]
"""A timeout for one request, or the client's `default_timeout`."""

Seconds: TypeAlias = tuple[float | None, float | None]
"""Seconds to connect, and for each read; None for no limit."""


def seconds_of(timeout: AskTimeout, default: Timeout) -> Seconds:
    """A timeout as a pair. "default" stands for `default`, and so does infinity, as in moby-distribution."""
    if timeout == "default" or (isinstance(timeout, float) and isinf(timeout)):
        timeout = default
    return timeout if isinstance(timeout, tuple) else (timeout, timeout)


class RequestOptions(TypedDict, total=False):
    """The options of the client's verbs, `get`, `put` and the others.

    headers: header fields.
    params: the query.
    data: the body: text, bytes, an open file, or an iterable of bytes.
    timeout: seconds, or a pair: to connect, and for each read; the client's `default_timeout` by default.
    stream: True, the default, leaves the body unread; False reads it at once, up to 256 MiB.
    allow_redirects: True, the default, follows redirects; False returns the redirect itself.
    outlast_errors: True, the default, sends the request again after a server error.
    """

    headers: Mapping[str, str | bytes | None] | None
    params: Mapping[str, Any] | None
    data: Any
    timeout: AskTimeout
    stream: bool
    allow_redirects: bool
    outlast_errors: bool
