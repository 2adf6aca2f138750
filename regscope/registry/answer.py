"""One HTTP answer: its header read quickly, and its body as a stream that knows when it was cut short."""

from __future__ import annotations

import functools
import http.client
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import requests
from requests.cookies import RequestsCookieJar
from requests.utils import get_encoding_from_headers

from regscope.errors import ConnectionFailed
from regscope.registry.failures import connection_error

_MOST_HEADERS = 100
_LONGEST_LINE = 65536
_CHUNK = 2**20
_NO_FIELD = (b"\r\n", b"\n", b"")
_ENCODINGS = {"gzip", "x-gzip", "deflate"}


class Fields(dict[str, str]):
    """Header fields, looked up in any case; kept in lower case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field."""
        return super().get(name.lower(), default)


class AnswerHeader(http.client.HTTPResponse):
    """An answer whose header fields are a plain dict with names in lower case; repeated ones are joined by commas.

    The standard library reads them with its mail parser, which costs more than all the rest of a small answer.
    """

    headers: Fields  # type: ignore[assignment]

    def begin(self) -> None:
        """Read the status line and the header (RFC 9112, 2.1)."""
        if self.headers is not None:
            return
        status = 100
        while status == 100:
            _, status, reason = self._read_status()
            headers = _read_fields(self.fp)
        self.code = self.status = status
        self.reason = reason.strip()
        self.version = 11
        self.headers = self.msg = headers
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = None if self.chunked else _length(headers.get("content-length", ""))
        if status in (204, 304) or 100 <= status < 200 or self._method == "HEAD":
            self.length = 0
        self.will_close = "close" in headers.get("connection", "").lower() or (not self.chunked and self.length is None)


def _read_fields(file: Any) -> Fields:
    fields: dict[str, str] = {}
    for _ in range(_MOST_HEADERS + 1):
        line = file.readline(_LONGEST_LINE + 1)
        if line in _NO_FIELD:
            return Fields(fields)
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    raise http.client.HTTPException(f"got more than {_MOST_HEADERS} headers")


def _length(stated: str) -> int | None:
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 20 else None


class Answer(requests.Response):
    """An answer as `requests` has them, without what costs more than reading a small one."""

    def __init__(self, method: str, url: str, header: AnswerHeader, body: Body) -> None:
        # Not by the parent's, which makes a cookie jar and a case-insensitive dict for each answer.
        self.method = method
        self.url = url
        self.status_code = header.status
        self.reason = header.reason
        self.headers = header.headers  # type: ignore[assignment]
        self.raw = body
        self.history = []
        self.elapsed = timedelta()
        self._content = False  # type: ignore[assignment]
        self._content_consumed = False
        self._next = None

    @functools.cached_property
    def request(self) -> requests.PreparedRequest:  # type: ignore[override]
        """What was asked: method and URL alone."""
        request = requests.PreparedRequest()
        request.method, request.url = self.method, self.url
        return request

    @functools.cached_property
    def encoding(self) -> str | None:  # type: ignore[override]
        """Of text, as the header says."""
        return get_encoding_from_headers(self.headers)

    @functools.cached_property
    def cookies(self) -> RequestsCookieJar:  # type: ignore[override]
        """None: no cookies are kept. (Harbor wants CSRF tokens of those who keep its cookies.)"""
        return RequestsCookieJar()


class Body:
    """The body of an answer. At its end the connection goes back to the others; left early, it is closed.

    Raises:
        ConnectionFailed: from every read, where the body ends before the length that its header states.
    """

    def __init__(self, header: AnswerHeader, url: str, done: Callable[[bool], None]) -> None:
        self._header = header
        self._url = url
        self._done = done
        self._encoding = header.headers.get("content-encoding", "").lower()
        self._decoder = zlib.decompressobj(wbits=47) if self._encoding in _ENCODINGS else None
        self.closed = False
        if header.length == 0:
            self._finish(keep=not header.will_close)

    def read(self, amount: int | None = None, decode_content: bool = True) -> bytes:
        """Up to `amount` bytes, fewer only at the end; all that is left by default."""
        if decode_content and self._encoding not in ("", "identity"):
            return self._decoded(amount)
        if amount is None:
            return b"".join(iter(lambda: self._raw(_CHUNK), b""))
        return self._raw(amount)

    def stream(self, amount: int = _CHUNK, decode_content: bool = True) -> Iterator[bytes]:
        """The body in pieces of `amount` bytes, the last one shorter."""
        while piece := self.read(amount, decode_content):
            yield piece

    def close(self) -> None:
        """Let go of the connection, whatever is left of the body."""
        self._finish(keep=False)

    release_conn = close  # as requests calls it

    def _raw(self, amount: int) -> bytes:
        if self.closed:
            return b""
        header = self._header
        expected = None if header.length is None else min(amount, header.length)
        try:
            piece = header.read(amount)
        except (http.client.HTTPException, OSError, ValueError) as error:
            self.close()
            raise connection_error(error, self._url) from None
        if expected is not None and len(piece) < expected:
            self.close()
            raise connection_error(http.client.IncompleteRead(piece, expected - len(piece)), self._url)
        if header.isclosed() or not piece:
            self._finish(keep=not header.will_close)
        return piece

    def _decoded(self, amount: int | None) -> bytes:
        """What was compressed on the way, although it was not asked for: some proxies do."""
        if self._decoder is None:
            self.close()
            raise self._undecodable(f"an encoding, {self._encoding[:40]!r}, that was not asked for")
        pieces: list[bytes] = []
        wanted = amount
        while wanted is None or wanted > 0:
            packed = self._decoder.unconsumed_tail or self._raw(_CHUNK)
            if not packed:
                break
            try:
                pieces.append(self._decoder.decompress(packed, wanted or 0))
            except zlib.error as error:
                self.close()
                raise self._undecodable(f"a damaged {self._encoding} encoding: {error}") from None
            wanted = None if wanted is None else wanted - len(pieces[-1])
        return b"".join(pieces)

    def _undecodable(self, why: str) -> ConnectionFailed:
        return connection_error(http.client.HTTPException(f"its answer has {why}"), self._url)

    def _finish(self, *, keep: bool) -> None:
        if not self.closed:
            self.closed = True
            self._header.close()
            self._done(keep)

    def __del__(self) -> None:
        self.close()
