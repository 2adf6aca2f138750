"""What can be said of one request to a registry."""

from __future__ import annotations

from collections.abc import Mapping
from math import isinf
from typing import Any, Literal, TypeAlias, TypedDict

Timeout: TypeAlias = float | tuple[float, float] | None
"""Seconds: for everything, or for connecting and for each read."""

AskTimeout: TypeAlias = Timeout | Literal["default"]
"""A timeout for one request, or the client's `default_timeout`."""

Seconds: TypeAlias = tuple[float | None, float | None]
"""Seconds to connect, and for each read; None for no limit."""


def seconds_of(timeout: AskTimeout, default: Timeout) -> Seconds:
    """A timeout as a pair; `default` for "default" and for infinity, by which the older client says the same."""
    if timeout == "default" or (isinstance(timeout, float) and isinf(timeout)):
        timeout = default
    return timeout if isinstance(timeout, tuple) else (timeout, timeout)


class RequestOptions(TypedDict, total=False):
    """The options of the client's verbs, `get`, `put` and the others.

    headers: header fields.
    params: the query.
    data: the body: text, bytes, an open file, or anything that yields bytes.
    timeout: seconds, or a pair for connecting and for each read; the client's own by default.
    stream: leave the body to be read later, which is the default; False reads it at once, up to 256 MiB.
    allow_redirects: go where the answer leads, which is the default; else that is returned.
    outlast_errors: send it again after a server's error, which is the default.
    """

    headers: Mapping[str, str | bytes | None] | None
    params: Mapping[str, Any] | None
    data: Any
    timeout: AskTimeout
    stream: bool
    allow_redirects: bool
    outlast_errors: bool
