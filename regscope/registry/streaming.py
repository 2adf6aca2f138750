"""One blob on its way by PATCH, in one request or in chunks, hashed as it passes, and across what breaks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from regscope.errors import ConnectionFailed, ContentError, RequestError, RequestErrorWithResponse
from regscope.registry.request_body import Content
from regscope.registry.uploads import PASSING_FAULTS, Upload
from regscope.spec.digest import Passing

CHUNK = 4 * 2**20
"""Bytes of a chunk where a registry takes no more in one PATCH, or its minimum if that is more."""
MOST_BREAKS = 3
"""Breaks in turn of which none brings anything new."""
_MOST_STARTS = 4
_PROGRESS = 2**16  # bytes that count as something new
_UNKNOWN_UPLOAD = "BLOB_UPLOAD_UNKNOWN"
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
TOO_LARGE = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.LENGTH_REQUIRED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,  # GitHub's
}
"""What the first PATCH of an upload is answered where it is too large; later ones by 413 alone."""
NO_PATCH = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.NOT_IMPLEMENTED,
}
"""What the first PATCH of an upload is answered where there is no such request."""


class Streaming:
    """Brings all of a blob into an upload.

    What was not hashed on its way is not part of the digest: the upload is only gone on with at a place up to which all
    bytes have passed, and only ended after as many as the content has. Where the registry says that it has more, or
    does not say what it has, or finds that what comes does not fit, the blob is sent anew.

    Args:
        content: to be sent.
        passing: hashes it.
        begin: opens an upload.
        note: hears of each new address of the upload.

    Attributes:
        was_broken: whether it took more than one go.
        position: bytes that precede what the latest PATCH has sent.
    """

    def __init__(
        self, content: Content, passing: Passing, begin: Callable[[], Upload], note: Callable[[Upload], None]
    ) -> None:
        self.content = content
        self.passing = passing
        self._size = content.size
        self._begin = begin
        self._note = note
        self._starts = 1
        self._idle_breaks = 0
        self._furthest = 0
        self.position = 0
        self.was_broken = False

    def run(self, upload: Upload, chunk: int | None) -> Upload:
        """Send it; the upload that holds it then, which need not be `upload`.

        Args:
            chunk: bytes of a PATCH, or the registry's minimum if that is more; None for one PATCH.

        Raises:
            RequestError: it was refused, or broke too often. The upload that is open then was cancelled.
            ContentError: the content is not as long as it was said to be.
        """
        start = 0
        try:
            while (trouble := self._append(upload, start, chunk)) is not None:
                self._check_length(ended=False)
                if not self.content.can_start_again or self._is_refusal(trouble):
                    raise trouble
                self.was_broken = True
                received = self._place_to_go_on(upload, trouble)
                if received is None:
                    upload.cancel()
                    upload = self.anew(trouble)
                start = received or 0
                if self._idle_breaks > 1 and chunk is None:  # some hang up on what is too large, without a word
                    chunk = CHUNK
            self._check_length(ended=True)
        except BaseException:
            upload.cancel()
            raise
        return upload

    def anew(self, trouble: RequestError) -> Upload:
        """Open another upload for all of the blob, instead of one that was given up.

        Raises:
            RequestError: `trouble` itself, if that was done too often, or the content cannot be read again.
        """
        if self._starts >= _MOST_STARTS or not self.content.can_start_again:
            raise trouble
        self._starts += 1
        self._furthest = 0
        self.was_broken = True
        return self._begin()

    def was_refused(self, error: RequestErrorWithResponse) -> bool:
        """Whether an error that `run` has raised is about a PATCH of this size, or about PATCH as such."""
        if error.response is None or error.response.request.method != "PATCH" or error.code == _UNKNOWN_UPLOAD:
            return False
        status = error.status_code
        return status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or (not self.position and status in TOO_LARGE | NO_PATCH)

    def _append(self, upload: Upload, start: int, chunk: int | None) -> RequestError | None:
        """Send what follows `start`; why it did not all go through."""
        if start == self._size:
            return None
        self.position = start
        again = self.content.can_start_again

        def pieces() -> Iterator[bytes]:
            return self.passing.through(self.content.pieces(start), start)

        try:
            if chunk is None:
                length = None if self._size is None else self._size - start
                upload.append(pieces, start=start, length=length, repeatable=again)
            else:
                for piece in chunks(pieces(), max(chunk, upload.chunk_minimum)):
                    append_chunk(upload, piece, self.position)
                    self.position += len(piece)
                    self._note(upload)
        except (ConnectionFailed, RequestErrorWithResponse) as error:
            return error
        return None

    def _is_refusal(self, trouble: RequestError) -> bool:
        """Whether it is about the request itself, and no sign of something that broke."""
        status = trouble.status_code
        if status is None or status in PASSING_FAULTS:
            return False
        if status in _REFUSED or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return True
        return not (trouble.code == _UNKNOWN_UPLOAD or self.position or self.was_broken)

    def _place_to_go_on(self, upload: Upload, trouble: RequestError) -> int | None:
        """How many bytes are there and have passed; None where it is to be sent anew."""
        status = trouble.status_code
        if status is not None and status not in PASSING_FAULTS and status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        received = received_by(upload)
        if received is not None and received >= self._furthest + _PROGRESS:
            self._furthest, self._idle_breaks = received, 0
        self._idle_breaks += 1
        if self._idle_breaks > MOST_BREAKS:
            raise trouble
        if status in PASSING_FAULTS:
            time.sleep(upload.client.retry_policy.pause(self._idle_breaks))
        if received is None or received > self.passing.size:
            return None
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and received == self.position:
            return None  # what it says does not fit together
        if self._idle_breaks > 1 and received == self.position:
            return None  # what is sent from there does not come in, and may not fit to what it has
        return received

    def _check_length(self, *, ended: bool) -> None:
        passed, size = self.passing.size, self._size
        if size is not None and (passed > size or (ended and passed < size)):
            raise ContentError(
                f"what is sent was to have {size:,} bytes, and {passed:,} came: it has changed meanwhile",
                next_step="Try again when nobody writes to it.",
            )


def received_by(upload: Upload) -> int | None:
    """How many bytes the registry has; None where it knows the upload no more, or does not say."""
    try:
        return upload.received()
    except RequestErrorWithResponse:
        return None


def append_chunk(upload: Upload, chunk: bytes, start: int) -> None:
    """Send one chunk, which is at hand."""
    upload.append(lambda: [chunk], start=start, length=len(chunk), repeatable=True)


def chunks(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """`pieces` joined and cut so that all but the last are of `size` bytes."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)
