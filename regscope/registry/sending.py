"""Uploading a blob's bytes: in one request, streamed and hashed at once, or in chunks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from regscope.errors import ConnectionFailed, ContentError, RequestError, RequestErrorWithResponse
from regscope.registry.blob_stat import make_sure, stat_blob
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.local_content import LocalContent
from regscope.registry.request_body import Content, Payload, RequestBody
from regscope.registry.streaming import (
    CHUNK,
    MOST_BREAKS,
    TOO_LARGE,
    Streaming,
    append_chunk,
    chunks,
    received_by,
)
from regscope.registry.uploads import Upload, open_upload
from regscope.spec.digest import Digest, Passing, mismatch

SMALL = 2**20
"""Bytes of a blob up to which it is held, to save a request."""
_SIZES = (CHUNK, 2**20, 2**18, 2**16)  # bytes of a chunk; each is tried where the one before it was refused
_NO_LIMIT = 2**63
_PAYLOAD_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, _PAYLOAD_TOO_LARGE}


class Sender:
    """Sends blobs to one repository.

    Args:
        opened: called with each upload that is opened for a streamed blob, and again at each new address of it.
        looks: whether each uploaded blob is checked by a request, whatever the registry answered.
    """

    def __init__(
        self,
        client: DockerRegistryV2Client,
        repository: str,
        timeout: AskTimeout = "default",
        opened: Callable[[Upload], None] | None = None,
        *,
        looks: bool = False,
    ) -> None:
        self._client = client
        self._repository = repository
        self._timeout = timeout
        self._opened = opened
        self._looks = looks
        self._habits = client.uploads
        self._chunk_minimum = 0  # at its newest address

    def send(self, content: Content, expected: Digest | None, upload: Upload | None = None) -> tuple[Digest, int]:
        """Upload the content in the way that suits it; returns its digest and its size in bytes.

        Args:
            upload: an open one to use.

        Raises:
            DigestMismatch: the content does not hash to `expected`; the upload was not finished.
            ContentError: the registry stored other content, or the content changed meanwhile.
            RequestError: the registry refused the upload.
        """
        send = self.send_at_once if self.is_small(content) else self.send_streaming
        return send(content, expected, upload)

    def is_small(self, content: Content) -> bool:
        """Whether the content is sent in one PUT."""
        return content.size is not None and content.size <= min(SMALL, self._habits.chunk or SMALL)

    def send_at_once(
        self, content: Content, expected: Digest | None, upload: Upload | None = None
    ) -> tuple[Digest, int]:
        """Hash first, then send all in one PUT; in chunks where the registry refuses its size; see `send`."""
        held, passing = self._hashed(content, expected)
        try:
            self._put(held, passing.digest, passing.size, upload or self._open())
        except RequestErrorWithResponse as error:
            chunk = self._smaller(None, passing.size) if self._habits.takes_patch else None
            if error.status_code != _PAYLOAD_TOO_LARGE or chunk is None:
                raise
            return self._by_patch(held, passing.digest, None, chunk)
        return passing.digest, passing.size

    def send_streaming(
        self, content: Content, expected: Digest | None, upload: Upload | None = None
    ) -> tuple[Digest, int]:
        """Send by one PATCH and hash the bytes meanwhile; see `send`.

        After a broken connection the upload is continued if the content can be read again; where the registry does not
        know the upload any more, the blob is sent anew. To a registry that refuses a PATCH of this size, this blob and
        later ones are sent in chunks, smaller ones until it accepts them; to one that refuses any PATCH, in one PUT.
        """
        if not self._habits.takes_patch and content.can_start_again:
            return self.send_at_once(content, expected, upload)
        return self._by_patch(content, expected, upload, self._habits.chunk)

    def _by_patch(
        self, content: Content, expected: Digest | None, upload: Upload | None, chunk: int | None
    ) -> tuple[Digest, int]:
        while True:
            streaming = Streaming(content, _passing(expected), self._open, self._note)
            try:
                sent = self._stream(streaming, expected, self._open(upload), chunk)
            except RequestErrorWithResponse as error:
                if not (content.can_start_again and streaming.was_refused(error)):
                    raise
                smaller = self._smaller(chunk, content.size) if error.status_code in TOO_LARGE else None
                if smaller is None:
                    return self._by_put(content, expected, error)
                chunk, upload = smaller, None  # the earlier upload was cancelled
            else:
                if chunk is not None:
                    self._habits.chunk = min(chunk, self._habits.chunk or chunk)
                return sent

    def _stream(
        self, streaming: Streaming, expected: Digest | None, upload: Upload, chunk: int | None
    ) -> tuple[Digest, int]:
        self._chunk_minimum = upload.chunk_minimum
        content, passing = streaming.content, streaming.passing
        upload = streaming.run(upload, chunk)
        try:
            digest = _as_expected(passing, expected)
        except ContentError:
            upload.cancel()
            raise
        while True:
            look = chunk is not None or streaming.was_broken
            trouble = self._finish(upload, digest, passing.size, look=look)
            if trouble is None:
                return digest, passing.size
            upload = streaming.anew(trouble)  # the registry received other bytes than were sent
            if chunk is None:
                self._put(content, digest, passing.size, upload)
                return digest, passing.size
            upload = streaming.run(upload, chunk)

    def _by_put(
        self, content: Content, expected: Digest | None, refusal: RequestErrorWithResponse
    ) -> tuple[Digest, int]:
        """Send by one PUT, after a PATCH of any size was refused."""
        held, passing = self._hashed(content, expected)
        try:
            self._put(held, passing.digest, passing.size, self._open())
        except RequestErrorWithResponse as error:
            if error.status_code == refusal.status_code == _PAYLOAD_TOO_LARGE:
                raise self._too_large(refusal) from None
            raise
        self._habits.takes_patch = False
        return passing.digest, passing.size

    def _hashed(self, content: Content, expected: Digest | None) -> tuple[Content, Passing]:
        """The content, such that it can be read again, and its digest."""
        is_held = not content.can_start_again or self.is_small(content)
        held = LocalContent.of(b"".join(content.pieces())) if is_held else content
        passing = _passing(expected)
        for piece in held.pieces():
            passing.take(piece)
        _as_expected(passing, expected)
        return held, passing

    def _put(self, content: Content, digest: Digest, size: int, upload: Upload) -> None:
        """Send all in one PUT; once more where the registry has lost the upload, or received other bytes."""
        body = RequestBody(content.pieces, size, content.can_start_again)
        trouble = self._finish(upload, digest, size, body)
        if trouble is not None and content.can_start_again:
            trouble = self._finish(self._open(), digest, size, body, look=True)
        if trouble is not None:
            raise trouble

    def _finish(
        self, upload: Upload, digest: Digest, size: int, body: Payload = b"", *, look: bool = False
    ) -> RequestErrorWithResponse | None:
        """Finish an upload, and make sure that the blob is stored, by a request where the answer is no proof.

        Returns:
            The error where another attempt may succeed; the upload was cancelled then.

        Raises:
            RequestError: the registry refused it, or did not answer.
        """
        try:
            answer = upload.finish(digest, body)
        except (ConnectionFailed, RequestErrorWithResponse) as error:
            if error.status_code not in _REFUSED and self._has(digest, size):
                return None  # an earlier attempt may have finished it without its answer being received
            upload.cancel()
            if isinstance(error, ConnectionFailed) or error.status_code in _REFUSED:
                raise
            return error
        except BaseException:
            upload.cancel()
            raise
        make_sure(self._client, self._repository, digest, size, answer, self._timeout, look=look or self._looks)
        return None

    def _has(self, digest: Digest, size: int) -> bool:
        try:
            found, _ = stat_blob(self._client, self._repository, digest, self._timeout)
        except RequestError:
            return False
        return found in (size, None)

    def go_on(self, upload: Upload, content: Content, digest: Digest) -> bool:
        """Send the missing bytes of an upload that an earlier run began; False where the registry refuses that.

        The bytes that the registry has already are not checked here: it hashes the whole blob at the end.

        Raises:
            ConnectionFailed: the connection broke again.
            ContentError: the registry stored other content.
        """
        size = content.size
        attempts = 0
        while attempts < MOST_BREAKS:
            start = received_by(upload)
            if start is None or size is None or start > size:
                break
            try:
                self._append_rest(upload, content, start, size)
            except RequestErrorWithResponse as error:
                smaller = self._smaller(self._habits.chunk, size - start)
                if error.status_code == _PAYLOAD_TOO_LARGE and smaller is not None:
                    self._habits.chunk = smaller  # the earlier run's digest
                elif error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    attempts += 1  # the registry had not yet received the last bytes that the earlier run sent
                else:
                    break
                continue
            return self._finish(upload, digest, size, look=True) is None
        upload.cancel()
        return False

    def _append_rest(self, upload: Upload, content: Content, start: int, size: int) -> None:
        if start < size and self._habits.chunk is not None:
            for chunk in chunks(content.pieces(start), max(self._habits.chunk, upload.chunk_minimum)):
                append_chunk(upload, chunk, start)
                start += len(chunk)
                self._note(upload)
        elif start < size:
            upload.append(partial(content.pieces, start), start=start, length=size - start, repeatable=True)

    def _smaller(self, chunk: int | None, size: int | None) -> int | None:
        """The next smaller size of chunks after `chunk` was refused for a blob of `size` bytes; None after the last."""
        least = self._chunk_minimum
        refused = min(max(chunk or _NO_LIMIT, least), size or _NO_LIMIT)
        return next((smaller for smaller in _SIZES if max(smaller, least) < refused), None)

    def _too_large(self, error: RequestErrorWithResponse) -> RequestErrorWithResponse:
        if self._chunk_minimum > _SIZES[-1]:
            tried = f"the registry wants chunks of at least {self._chunk_minimum // 2**10:,} KiB"
        else:
            tried = f"chunks of {_SIZES[-1] // 2**10} KiB were the smallest that were tried"
        return RequestErrorWithResponse(
            f"{error.message}; {tried}",
            error.status_code,
            error.response,
            code=error.code,
            url=error.url,
            next_step=error.next_step,
        )

    def _open(self, upload: Upload | None = None) -> Upload:
        upload = upload or open_upload(self._client, self._repository, self._timeout)
        self._note(upload)
        return upload

    def _note(self, upload: Upload) -> None:
        if self._opened is not None:
            self._opened(upload)


def _passing(expected: Digest | None) -> Passing:
    return Passing(expected.algorithm) if expected else Passing()


def _as_expected(passing: Passing, expected: Digest | None) -> Digest:
    if expected is not None and passing.digest != expected:
        raise mismatch(expected, passing.digest, "the blob to upload")
    return passing.digest
