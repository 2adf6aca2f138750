"""One HTTP answer, and its body as a stream that detects truncation."""

from __future__ import annotations

import http.client
import io
import zlib
from collections.abc import Callable, Iterator

from regscope.errors import ConnectionFailed
from regscope.pieces import PIECE
from regscope.registry.failures import connection_error
from regscope.registry.framing import Framed, Header, Incoming

_DECODED = {"gzip", "deflate"}
_REFUSED = {"br", "zstd", "compress", "x-compress"}
_REDIRECTS = {301, 302, 303, 307, 308}
_GZIP_MAGIC = b"\x1f\x8b"
_FRUITLESS = 2**20  # encoded bytes, beyond twice the decoded ones: no real content has as many


class Answer:
    """An answer to a request, its body still unread.

    Attributes:
        method, url: those of the request; after redirects, of the last request.
        headers: the header fields, by names in any case.
        raw: the body.
    """

    __slots__ = ("headers", "method", "raw", "reason", "status_code", "url")

    def __init__(self, method: str, url: str, header: Header, body: Body) -> None:
        self.method = method
        self.url = url
        self.status_code = header.status
        self.reason = header.reason
        self.headers = header.fields
        self.raw: Body | HeldBody = body

    @property
    def is_redirect(self) -> bool:
        """Whether the answer is a redirect with a `Location` (RFC 9110, 15.4)."""
        return self.status_code in _REDIRECTS and "location" in self.headers

    def close(self) -> None:
        """Release the connection; the rest of the body is not read."""
        self.raw.close()


class HeldBody:
    """A body in memory, which was read before and can be read once more."""

    closed = False

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, amount: int | None = None, decode_content: bool = True) -> bytes:
        """Up to `amount` bytes; by default the rest of the body."""
        return self._content.read(-1 if amount is None else amount)

    def stream(self, amount: int = PIECE, decode_content: bool = True) -> Iterator[bytes]:
        """The rest of the body in pieces of `amount` bytes, the last one shorter."""
        while piece := self._content.read(amount):
            yield piece

    def close(self) -> None:
        """Does nothing: this body has no connection."""


class Body:
    """The body of an answer. At its end the connection is reused; closed earlier, the connection is closed too.

    Raises:
        ConnectionFailed: from any read, where the body ends before the length that its header states.
    """

    def __init__(self, header: Header, incoming: Incoming, url: str, done: Callable[[bool], None]) -> None:
        self._keeps_open = header.keeps_open
        self._incoming = incoming
        self._framed = Framed(header, incoming)
        self._url = url
        self._done = done
        self._encoding = _encoding(header.fields.get("content-encoding", ""))
        self._decoder = _decoder() if self._encoding in _DECODED else None
        self._packed = b""
        self._gain = 0  # twice the decoded bytes, less the encoded ones
        self._looked = False
        self._begun = b""
        self.closed = False
        if self._framed.ended:
            self._finish()

    def read(self, amount: int | None = None, decode_content: bool = True) -> bytes:
        """Up to `amount` bytes, fewer only at the end; by default the rest of the body."""
        if decode_content and self._encoding and not self._is_mislabelled():
            return self._decoded(amount)
        if amount is None:
            return b"".join(self.stream(PIECE, decode_content=False))
        return self._raw(amount)

    def stream(self, amount: int = PIECE, decode_content: bool = True) -> Iterator[bytes]:
        """The body in pieces of `amount` bytes, the last one shorter."""
        while piece := self.read(amount, decode_content):
            yield piece

    def close(self) -> None:
        """Release the connection; the rest of the body is not read."""
        self._finish()

    release_conn = close  # the name that requests uses

    def _is_mislabelled(self) -> bool:
        """Whether a body labelled gzip does not begin as gzip: some mirrors label unencoded content so."""
        if self._encoding == "gzip" and not self._looked:
            self._looked = True
            self._begun = self._raw(PIECE)
            if self._begun and not self._begun.startswith(_GZIP_MAGIC):
                self._encoding = ""
                return True
        return False

    def _raw(self, amount: int) -> bytes:
        if self._begun:
            piece, self._begun = self._begun[:amount], self._begun[amount:]
            return piece
        if self.closed:
            return b""
        try:
            piece = self._framed.read(amount)
        except (http.client.HTTPException, OSError, ValueError) as error:
            self.close()
            raise connection_error(error, self._url) from None
        if self._framed.ended:
            self._finish()
        return piece

    def _decoded(self, amount: int | None) -> bytes:
        """Up to `amount` decoded bytes: some proxies compress content although no encoding was requested."""
        if self._decoder is None:
            raise self._undecodable(f"the content encoding {self._encoding[:40]!r}, which was not requested")
        pieces: list[bytes] = []
        wanted = amount
        while wanted is None or wanted > 0:
            if self._decoder.eof and not self._begin_another():
                break
            packed = self._packed or self._raw(PIECE)
            if not packed:
                if self._gain:  # an empty body is accepted: nothing was compressed
                    raise self._undecodable(f"a {self._encoding} encoding that was cut short")
                break
            try:
                pieces.append(self._decoder.decompress(packed, wanted or 0))
            except zlib.error as error:
                raise self._undecodable(f"a damaged {self._encoding} encoding: {error}") from None
            self._packed = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
            self._count(2 * len(pieces[-1]) - len(packed) + len(self._packed))
            wanted = None if wanted is None else wanted - len(pieces[-1])
        return b"".join(pieces)

    def _begin_another(self) -> bool:
        """Whether another gzip member follows (RFC 1952, 2.2). Other trailing bytes are read to the end and ignored."""
        while tail := self._packed + (self._raw(PIECE) if len(self._packed) < len(_GZIP_MAGIC) else b""):
            self._packed = tail
            if tail.startswith(_GZIP_MAGIC):
                self._decoder = _decoder()
                return True
            self._packed = b""
            self._count(-len(tail))
        return False

    def _count(self, gain: int) -> None:
        self._gain += gain
        if self._gain < -_FRUITLESS:
            raise self._undecodable(f"a {self._encoding} encoding of many bytes that decode to almost nothing")

    def _undecodable(self, why: str) -> ConnectionFailed:
        self.close()
        return connection_error(http.client.HTTPException(f"its answer has {why}"), self._url)

    def _finish(self) -> None:
        if not self.closed:
            self.closed = True
            # Bytes after the end would be taken for the answer to the next request.
            self._done(self._keeps_open and self._framed.ended and not self._incoming.has_more)

    def __del__(self) -> None:
        self.close()


def _decoder() -> zlib._Decompress:
    return zlib.decompressobj(wbits=47)


def _encoding(stated: str) -> str:
    """The content coding that was applied to the body (RFC 9110, 8.4); empty for none, and for values that are none.

    Apache sends `x-gzip` for a file that is itself compressed; `aws-chunked` and `utf-8` are no codings.
    """
    codings = [coding.strip().lower() for coding in stated.split(",")]
    return next((coding for coding in codings if coding in _DECODED | _REFUSED), "")
