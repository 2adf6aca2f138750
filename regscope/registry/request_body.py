"""Bodies of requests that are too large for memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

READING = {"GET", "HEAD"}
"""The methods of requests that change nothing."""


class Content(Protocol):
    """The bytes of a blob to send."""

    @property
    def size(self) -> int | None:
        """Bytes; None for a stream that only its end will tell."""

    @property
    def can_start_again(self) -> bool:
        """Whether it can be read more than once."""

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """What follows the first `start` bytes."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A body that is sent piece by piece.

    Attributes:
        pieces: gives the body from its beginning; called once for each attempt.
        length: bytes; None where it is not known: the body is sent in chunks (RFC 9112, 7.1).
        repeatable: whether `pieces` may be called again.
    """

    pieces: Callable[[], Iterable[bytes]]
    length: int | None = None
    repeatable: bool = True

    def framed(self) -> Iterator[bytes]:
        """The bytes that go over the connection.

        Raises:
            ValueError: the pieces do not have `length` bytes.
        """
        return self._in_chunks() if self.length is None else self._counted(self.length)

    def _in_chunks(self) -> Iterator[bytes]:
        for piece in self.pieces():
            if piece:
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    def _counted(self, left: int) -> Iterator[bytes]:
        for piece in self.pieces():
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left:
            raise ValueError("the body does not have the stated length")


Payload = bytes | RequestBody
"""The body of a request."""


def is_repeatable(payload: Payload | None) -> bool:
    """Whether a request with this body can be sent again."""
    return payload.repeatable if isinstance(payload, RequestBody) else True
