"""How a blob's bytes get to a registry: in one request, streamed and hashed on the way, or in chunks."""

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
_SIZES = (CHUNK, 2**20, 2**18, 2**16)  # bytes of chunks, each tried where the one before is too large
_NO_LIMIT = 2**63
_PAYLOAD_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, _PAYLOAD_TOO_LARGE}


class Sender:
    """Sends blobs to one repository.

    Args:
        opened: hears of each upload that is opened for a blob that is streamed, and of each new address it gets.
        looks: whether no answer is believed, so that what was sent is looked at in any case.
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
        self._chunk_minimum = 0  # as the registry named it last

    def send(self, content: Content, expected: Digest | None, upload: Upload | None = None) -> tuple[Digest, int]:
        """Send it in the way that suits it; its digest, and its size in bytes.

        Args:
            upload: one that is open already.

        Raises:
            DigestMismatch: it is not what `expected` names; the registry was not told to keep it.
            ContentError: what the registry has is not what was sent, or the content changed meanwhile.
            RequestError: it was refused.
        """
        send = self.send_at_once if self.is_small(content) else self.send_streaming
        return send(content, expected, upload)

    def is_small(self, content: Content) -> bool:
        """Whether it goes in one PUT."""
        return content.size is not None and content.size <= min(SMALL, self._habits.chunk or SMALL)

    def send_at_once(
        self, content: Content, expected: Digest | None, upload: Upload | None = None
    ) -> tuple[Digest, int]:
        """Hash first, then send all in one PUT; in chunks where that is too large; see `send`."""
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
        """Send by one PATCH, hashing what passes by; see `send`.

        After a connection that broke it goes on with what the registry has not got, if the content can be read again;
        where the registry wants to know nothing of an upload that broke, all of it is sent once more. A registry that
        takes no PATCH of this size gets this blob, and all that follow, in chunks, smaller ones until it takes them;
        one that takes none at all, in one PUT.
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
                chunk, upload = smaller, None  # the one before was cancelled
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
            upload = streaming.anew(trouble)  # what came in is not what was sent
            if chunk is None:
                self._put(content, digest, passing.size, upload)
                return digest, passing.size
            upload = streaming.run(upload, chunk)

    def _by_put(
        self, content: Content, expected: Digest | None, refusal: RequestErrorWithResponse
    ) -> tuple[Digest, int]:
        """The last way, after `refusal` of a PATCH, however small it was."""
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
        """Content that can be read again, and what its bytes hash to."""
        is_held = not content.can_start_again or self.is_small(content)
        held = LocalContent.of(b"".join(content.pieces())) if is_held else content
        passing = _passing(expected)
        for piece in held.pieces():
            passing.take(piece)
        _as_expected(passing, expected)
        return held, passing

    def _put(self, content: Content, digest: Digest, size: int, upload: Upload) -> None:
        """All in one PUT; once more where the registry has lost the upload, or what came in is not what was sent."""
        body = RequestBody(content.pieces, size, content.can_start_again)
        trouble = self._finish(upload, digest, size, body)
        if trouble is not None and content.can_start_again:
            trouble = self._finish(self._open(), digest, size, body, look=True)
        if trouble is not None:
            raise trouble

    def _finish(
        self, upload: Upload, digest: Digest, size: int, body: Payload = b"", *, look: bool = False
    ) -> RequestErrorWithResponse | None:
        """End an upload, and make sure that the blob is there, by a look at it if an answer is no proof.

        The error where it came to nothing, and may the next time; the upload was cancelled then.

        Raises:
            RequestError: it was refused, or there was no answer.
        """
        try:
            answer = upload.finish(digest, body)
        except (ConnectionFailed, RequestErrorWithResponse) as error:
            if error.status_code not in _REFUSED and self._has(digest, size):
                return None  # the end of an earlier attempt was not heard of
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
        """Send what is missing of an upload that was begun earlier; False where the registry makes nothing of that.

        What it has already is not looked at here: it hashes the whole at the end.

        Raises:
            ConnectionFailed: it broke again.
            ContentError: what the registry has then is not what was sent.
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
                    self._habits.chunk = smaller  # what the earlier run had found out
                elif error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    attempts += 1  # the end of what the earlier run had sent was still on its way
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
        """The size of chunks to try after `chunk` was too large for a blob of `size` bytes; None if there is none."""
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
