"""Uploading one blob by PATCH, in one request or in chunks, hashed meanwhile, and continued after breaks."""

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
_PROGRESS = 2**16  # bytes that count as progress
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
    """Sends all of a blob to an upload.

    The digest is computed from the bytes that are sent: therefore an upload is continued only at a position up to which
    all bytes were hashed, and finished only after all bytes of the content. Where the registry states more bytes, or
    none, or refuses the range, the blob is sent anew.

    Args:
        content: the blob's content.
        passing: hashes the bytes that are sent.
        begin: opens an upload.
        note: called with the upload at each new address.

    Attributes:
        was_broken: whether more than one attempt was needed.
        position: the offset in the blob of the latest PATCH.
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
        """Send the blob; returns the upload that has it then, which may be another than `upload`.

        Args:
            chunk: bytes of each PATCH, or the registry's minimum if that is more; None for one PATCH.

        Raises:
            RequestError: the registry refused it, or the connection broke too often; the upload was cancelled.
            ContentError: the content does not have the stated size.
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
                if self._idle_breaks > 1 and chunk is None:  # some close the connection on too large a request
                    chunk = CHUNK
            self._check_length(ended=True)
        except BaseException:
            upload.cancel()
            raise
        return upload

    def anew(self, trouble: RequestError) -> Upload:
        """Open a new upload for the whole blob, in place of one that was given up.

        Raises:
            RequestError: `trouble` itself, after too many attempts, or where the content cannot be read again.
        """
        if self._starts >= _MOST_STARTS or not self.content.can_start_again:
            raise trouble
        self._starts += 1
        self._furthest = 0
        self.was_broken = True
        return self._begin()

    def was_refused(self, error: RequestErrorWithResponse) -> bool:
        """Whether an error of `run` is a refusal of a PATCH of this size, or of any PATCH."""
        if error.response is None or error.response.request.method != "PATCH" or error.code == _UNKNOWN_UPLOAD:
            return False
        status = error.status_code
        return status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or (not self.position and status in TOO_LARGE | NO_PATCH)

    def _append(self, upload: Upload, start: int, chunk: int | None) -> RequestError | None:
        """Send the bytes from `start` on; returns the error where not all were sent."""
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
        """Whether an error is a refusal of the request, and not a broken connection."""
        status = trouble.status_code
        if status is None or status in PASSING_FAULTS:
            return False
        if status in _REFUSED or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return True
        return not (trouble.code == _UNKNOWN_UPLOAD or self.position or self.was_broken)

    def _place_to_go_on(self, upload: Upload, trouble: RequestError) -> int | None:
        """The position to continue at: bytes that are received and hashed; None where the blob is to be sent anew."""
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
            return None  # its statements contradict one another
        if self._idle_breaks > 1 and received == self.position:
            return None  # bytes sent from there are not received, and may not fit those that it has
        return received

    def _check_length(self, *, ended: bool) -> None:
        passed, size = self.passing.size, self._size
        if size is not None and (passed > size or (ended and passed < size)):
            raise ContentError(
                f"what is sent was to have {size:,} bytes, and {passed:,} came: it has changed meanwhile",
                next_step="Try again when nobody writes to it.",
            )


def received_by(upload: Upload) -> int | None:
    """How many bytes the registry has received; None where it does not know the upload, or does not say."""
    try:
        return upload.received()
    except RequestErrorWithResponse:
        return None


def append_chunk(upload: Upload, chunk: bytes, start: int) -> None:
    """Send one chunk from memory."""
    upload.append(lambda: [chunk], start=start, length=len(chunk), repeatable=True)


def chunks(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """`pieces` as chunks of `size` bytes; the last one may be shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)
