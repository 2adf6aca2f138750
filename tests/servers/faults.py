"""Ready rules for the proxy; a path filter matches by substring of path and query."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection

from .proxy import Forward, ProxyRequest, ProxyResponse, Rule

READS = ("GET", "HEAD")


def too_many(times: int, retry_after: str | None = "1", path_contains: str = "") -> Rule:
    """Refuse the first requests for coming too fast."""
    headers = [] if retry_after is None else [("Retry-After", retry_after)]
    limit = _Limit(times)

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if path_contains not in request.path or not limit.take():
            return None
        return _error(429, "TOOMANYREQUESTS", "too many requests", headers)

    return rule


def cut_body(path_contains: str, after: int, times: int | None = 1) -> Rule:
    """Announce the whole body of a GET and close the connection after so many bytes of it."""
    limit = _Limit(times)

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method != "GET" or path_contains not in request.path:
            return None
        answer = forward()
        if len(answer.body) > after and limit.take():
            answer.cut_after = after
        return answer

    return rule


def corrupt_body(path_contains: str, times: int | None = None) -> Rule:
    """Invert the byte in the middle of a GET's body, which keeps its length."""
    limit = _Limit(times)

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method != "GET" or path_contains not in request.path:
            return None
        answer = forward()
        if answer.body and answer.status < 300 and limit.take():
            body = bytearray(answer.body)
            body[len(body) // 2] ^= 0xFF
            answer.body = bytes(body)
        return answer

    return rule


def redirect(
    path_contains: str,
    to: str | Callable[[ProxyRequest], str],
    status: int = 307,
    methods: Collection[str] = READS,
) -> Rule:
    """Send readers to another address, which may depend on the request."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method not in methods or path_contains not in request.path:
            return None
        return ProxyResponse(status, [("Location", to if isinstance(to, str) else to(request))])

    return rule


def replace_header(path_contains: str, name: str, value: str | None) -> Rule:
    """Set a header of the answer; None removes it. Without a length the body comes in chunks."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if path_contains not in request.path:
            return None
        answer = forward()
        answer.set_header(name, value)
        if name.lower() == "content-length":
            answer.content_length = None if value is None else int(value)
            answer.chunked = value is None
        return answer

    return rule


def replace_body(path_contains: str, body: bytes, content_type: str | None = None, status: int | None = None) -> Rule:
    """Answer reads with another body under the headers, digests included, of the true one."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method not in READS or path_contains not in request.path:
            return None
        answer = forward()
        answer.body, answer.content_length = body, len(body)
        answer.status = status or answer.status
        if content_type is not None:
            answer.set_header("Content-Type", content_type)
        return answer

    return rule


def refuse(
    path_contains: str,
    status: int,
    code: str,
    message: str,
    methods: Collection[str] | None = None,
    times: int | None = None,
) -> Rule:
    """Answer with an error as registries word it, and never ask the upstream."""
    limit = _Limit(times)

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if path_contains not in request.path or (methods is not None and request.method not in methods):
            return None
        return _error(status, code, message, []) if limit.take() else None

    return rule


def delay(seconds: float, path_contains: str = "") -> Rule:
    """Wait, then leave the request to the later rules and the upstream."""

    def rule(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if path_contains in request.path:
            time.sleep(seconds)
        return None

    return rule


class _Limit:
    """Counts down over all threads; None never ends."""

    def __init__(self, times: int | None) -> None:
        self._left, self._lock = times, threading.Lock()

    def take(self) -> bool:
        with self._lock:
            if self._left is None:
                return True
            self._left -= 1
            return self._left >= 0


def _error(status: int, code: str, message: str, headers: list[tuple[str, str]]) -> ProxyResponse:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return ProxyResponse(status, [("Content-Type", "application/json"), *headers], body)
