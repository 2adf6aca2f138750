"""Reading one HTTP/1.1 answer from a connection: its header, and where its body ends (RFC 9112).

The standard library reads headers with its e-mail parser, line by line; for the small answers of a scan that takes more
time than all other work on them.
"""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from regscope.pieces import PIECE

SLOWEST = 1000.0
"""Bytes a second: an answer that comes slower for as long as the read timeout is given up."""
LONGEST_SILENCE = 60.0
"""Seconds that count for that where there is no read timeout."""

_ONE_READ = 2**15  # bytes: a small answer fits into one read, header and body
_LONGEST_HEADER = 2**17
_LONGEST_LINE = 2**12  # of those between chunks
_MOST_CHUNKS = 2**17  # from there on they must hold, on average,
_LEAST_CHUNK = 64  # bytes
_MOST_INTERIM = 16
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (.*))?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_NO_BODY = {204, 304}


class Fields(dict[str, str]):
    """Header fields by lower-case name, looked up in any case. The values of repeated fields are joined by commas."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field."""
        return super().get(name.lower(), default)


class Header(NamedTuple):
    """Status line and fields. `length`: bytes of the body; None where it is chunked, or ends with the connection."""

    status: int
    reason: str
    fields: Fields
    length: int | None
    chunked: bool
    keeps_open: bool


class TooSlow(TimeoutError):
    """The data arrives too slowly."""


class Incoming:
    """The bytes that a connection receives, in order.

    Args:
        slowest: the least bytes a second; 0 for no limit. Only time spent waiting counts, after the first byte.
        over: seconds of waiting over which the rate is measured.
    """

    __slots__ = ("_at", "_came", "_held", "_over", "_slowest", "_socket", "_waited")

    def __init__(self, connection: socket.socket, slowest: float = SLOWEST, over: float | None = None) -> None:
        self._socket = connection
        self._slowest = slowest
        self._over = over
        self._held = b""
        self._at = 0  # how much of `_held` was read
        self._came = 0
        self._waited = 0.0

    @property
    def has_more(self) -> bool:
        """Whether there are received bytes that were not read."""
        return len(self._held) > self._at

    def header(self, method: str) -> Header:
        """The header of the final answer to a request, after interim ones (1xx).

        Raises:
            HTTPException: it is malformed, or contradicts itself about where its body ends.
            TooSlow: it arrives more slowly than allowed.
        """
        for _ in range(_MOST_INTERIM):
            header = _parsed(self._until_blank_line(), method)
            if header.status >= 200:
                return header
            if header.status == 101:
                break
        raise http.client.HTTPException(f"unexpected status: {header.status}")

    def _until_blank_line(self) -> str:
        data = self._rest() or self._socket.recv(_ONE_READ)
        if not data:
            raise http.client.RemoteDisconnected("it was closed without an answer")
        while (end := _END_OF_HEADER.search(data)) is None:
            if len(data) > _LONGEST_HEADER:
                raise http.client.HTTPException(f"a header of more than {_LONGEST_HEADER:,} bytes")
            if not (more := self._received()):
                raise http.client.HTTPException("a header that was cut short")
            data += more
        self._held, self._at = data, end.end()
        return data[: end.start()].decode("latin-1")

    def take(self, amount: int) -> bytes:
        """The next `amount` bytes; fewer only where the connection ends before."""
        pieces: list[bytes] = []
        while amount > PIECE:  # memory is taken for received bytes only, not for the announced length
            pieces.append(self._take(PIECE))
            amount -= PIECE
            if len(pieces[-1]) < PIECE:
                return b"".join(pieces)
        last = self._take(amount)
        return b"".join([*pieces, last]) if pieces else last

    def _take(self, amount: int) -> bytes:
        end = self._at + amount
        if len(self._held) >= end:
            piece = self._held[self._at : end]
            self._at = end
            return piece
        held = self._rest()
        buffer = bytearray(amount)
        buffer[: len(held)] = held
        got = len(held)
        with memoryview(buffer) as view:
            while got < amount:
                since = time.monotonic()
                read = self._socket.recv_into(view[got:])
                if not read:
                    break
                self._count(since, read)
                got += read
        return bytes(buffer) if got == amount else bytes(buffer[:got])

    def line(self) -> bytes:
        """The next line, without its end."""
        while (end := self._held.find(b"\n", self._at)) < 0:
            held = self._rest()
            more = self._received() if len(held) <= _LONGEST_LINE else b""
            if not more:
                raise http.client.HTTPException("chunks that do not say how long they are")
            self._held = held + more
        line = self._held[self._at : end]
        self._at = end + 1
        return line.rstrip(b"\r")

    def _rest(self) -> bytes:
        """The received bytes that were not read; they are not kept here any longer."""
        rest, self._held, self._at = self._held[self._at :], b"", 0
        return rest

    def _received(self) -> bytes:
        since = time.monotonic()
        more = self._socket.recv(_ONE_READ)
        self._count(since, len(more))
        return more

    def _count(self, since: float, came: int) -> None:
        self._waited += time.monotonic() - since
        self._came += came
        if self._waited >= (self._over or LONGEST_SILENCE):
            if self._came < self._slowest * self._waited:
                raise TooSlow(f"less than {self._slowest:,.0f} bytes a second over {self._waited:,.0f} s")
            self._waited, self._came = 0.0, 0


def _parsed(header: str, method: str) -> Header:
    if "\n " in header or "\n\t" in header:
        header = _FOLD.sub(" ", header)
    status_line, *lines = header.split("\n")
    found = _STATUS_LINE.fullmatch(status_line.rstrip("\r"))
    if found is None:
        raise http.client.HTTPException(f"response is not HTTP: {status_line[:80]!r}")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.lower(), value.strip()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    status, coding = int(found[2]), fields.get("transfer-encoding", "").lower()
    length: int | None = None
    if status in _NO_BODY or method == "HEAD" or (method == "CONNECT" and status < 300):
        length, coding = 0, ""
    elif coding not in ("", "identity", "chunked"):
        raise http.client.HTTPException(f"unsupported transfer encoding: {coding[:80]!r}")
    elif coding != "chunked" and "content-length" in fields:
        length = _length(fields["content-length"])
    chunked = coding == "chunked"
    connection = fields.get("connection", "").lower()
    keeps_open = "close" not in connection if found[1] == "1" else "keep-alive" in connection
    keeps_open = keeps_open and (chunked or length is not None)
    return Header(status, (found[3] or "").strip(), Fields(fields), length, chunked, keeps_open)


def _length(stated: str) -> int:
    lengths = {part.strip() for part in stated.split(",")}  # the same length stated twice is accepted
    length = whole_number(lengths.pop())
    if lengths or length is None:
        raise http.client.HTTPException(f"invalid Content-Length: {stated[:80]!r}")
    return length


def whole_number(stated: str) -> int | None:
    """The number that a header field states; None where it is no number, or an absurdly large one."""
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 20 else None


class Framed:
    """The body of an answer, read to its end and no further.

    Raises:
        HTTPException, OSError: by `read`, where the body ends early.
    """

    __slots__ = ("_chunks_read", "_in_chunks", "_incoming", "_left", "_read", "ended")

    def __init__(self, header: Header, incoming: Incoming) -> None:
        self._incoming = incoming
        self._left = header.length or 0
        self.ended = header.length == 0
        self._read: Callable[[int], bytes]
        if header.chunked:
            self._chunks_read = self._in_chunks = 0
            self._read = self._chunks
        else:
            self._read = self._until_closed if header.length is None else self._counted

    def read(self, amount: int) -> bytes:
        """The next `amount` bytes; fewer only at the end."""
        return b"" if self.ended else self._read(amount)

    def _counted(self, amount: int) -> bytes:
        wanted = min(amount, self._left)
        piece = self._incoming.take(wanted)
        self._left -= len(piece)
        if len(piece) < wanted:
            raise http.client.IncompleteRead(piece, self._left)
        self.ended = self._left == 0
        return piece

    def _until_closed(self, amount: int) -> bytes:
        piece = self._incoming.take(amount)
        self.ended = len(piece) < amount
        return piece

    def _chunks(self, amount: int) -> bytes:
        pieces: list[bytes] = []
        while amount and not self.ended:
            if not self._left:
                self._next_chunk()
            if wanted := min(amount, self._left):
                pieces.append(self._counted(wanted))
                self.ended = False  # bytes left of the chunk, not of the body
                amount -= wanted
                if not self._left and self._incoming.line():
                    raise http.client.HTTPException("a chunk that is longer than it says")
        return b"".join(pieces)

    def _next_chunk(self) -> None:
        size = _CHUNK_SIZE.fullmatch(self._incoming.line())
        if size is None:
            raise http.client.HTTPException("chunks that do not say how long they are")
        self._left = int(size[1], 16)
        self._chunks_read += 1
        self._in_chunks += self._left
        if self._chunks_read > _MOST_CHUNKS and self._in_chunks < self._chunks_read * _LEAST_CHUNK:
            raise http.client.HTTPException(f"{self._chunks_read:,} chunks of less than {_LEAST_CHUNK} bytes each")
        if not self._left:
            self._skip_trailer()
            self.ended = True

    def _skip_trailer(self) -> None:
        length = 0
        while line := self._incoming.line():
            length += len(line)
            if length > _LONGEST_HEADER:
                raise http.client.HTTPException(f"fields after the chunks of more than {_LONGEST_HEADER:,} bytes")
