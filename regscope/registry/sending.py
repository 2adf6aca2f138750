"""How a blob's bytes get to a registry: in one request, streamed and hashed on the way, or in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus

from regscope.errors import ConnectionFailed, RequestError, RequestErrorWithResponse
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.outgoing import Content, Outgoing
from regscope.registry.uploads import Upload, open_upload
from regscope.spec.digest import Digest, Passing, mismatch

_MOST_BREAKS = 3
_TOO_LARGE = {400, 411, 413}  # GitHub's registry and many a proxy take no more than some MiB in one PATCH
_NO_PATCH = {405, 415, 501}  # Google's
CHUNK = 4 * 2**20
"""Bytes of a chunk where a registry takes no more in one PATCH, or its minimum if that is more."""
SMALL = 2**20
"""Bytes of a blob up to which it is held, to save a request."""


class Sender:
    """Sends blobs to one repository.

    Args:
        opened: hears of each upload that is opened for a blob that is streamed, and of each new address it gets.
    """

    def __init__(
        self,
        client: DockerRegistryV2Client,
        repository: str,
        timeout: AskTimeout = "default",
        opened: Callable[[Upload], None] | None = None,
    ) -> None:
        self._client = client
        self._repository = repository
        self._timeout = timeout
        self._opened = opened

    def send(self, content: Content, expected: Digest | None, upload: Upload | None = None) -> tuple[Digest, int]:
        """Send it in the way that suits it; its digest, and its size in bytes.

        Args:
            upload: one that is open already.

        Raises:
            DigestMismatch: it is not what `expected` names; the registry was not told to keep it.
            RequestError: it was refused.
        """
        small = content.size is not None and content.size <= SMALL
        send = self.send_at_once if small else self.send_streaming
        return send(content, expected, upload)

    def send_at_once(
        self, content: Content, expected: Digest | None, upload: Upload | None = None
    ) -> tuple[Digest, int]:
        """Hash first, then send all in one PUT; see `send`."""
        is_small = content.size is not None and content.size <= SMALL
        held = b"".join(content.pieces()) if is_small or not content.can_start_again else None
        passing = _passing(expected)
        for piece in [held] if held is not None else content.pieces():
            passing.take(piece)
        digest = _as_expected(passing, expected)
        upload = upload or open_upload(self._client, self._repository, self._timeout)
        try:
            upload.finish(digest, Outgoing(content.pieces, passing.size) if held is None else held)
        except BaseException:
            upload.cancel()
            raise
        return digest, passing.size

    def send_streaming(
        self, content: Content, expected: Digest | None, upload: Upload | None = None
    ) -> tuple[Digest, int]:
        """Send by one PATCH, hashing what passes by; see `send`.

        After a connection that broke it goes on with what the registry has not got, if the content can be read again;
        where the registry wants to know nothing of an upload that broke, all of it is sent once more. A registry that
        takes no PATCH of this size gets this blob, and all that follow, in chunks; one that takes none at all, in one
        PUT.
        """
        for in_chunks in [True] if self._client.wants_chunks else [False, True]:
            try:
                sent = self._stream(content, expected, upload, in_chunks)
            except RequestErrorWithResponse as error:
                if not (_refuses_patch(error, _TOO_LARGE | _NO_PATCH) and content.can_start_again):
                    raise
                if error.status_code in _NO_PATCH:
                    break
                upload = None  # it was cancelled
            else:
                self._client.wants_chunks |= in_chunks
                return sent
        return self.send_at_once(content, expected)

    def _stream(
        self, content: Content, expected: Digest | None, upload: Upload | None, in_chunks: bool
    ) -> tuple[Digest, int]:
        passing = _passing(expected)
        upload = self._open(upload)
        breaks = 0
        start = 0
        try:
            while (broke := self._append(upload, content, passing, start, in_chunks)) is not None:
                breaks += 1
                if breaks > _MOST_BREAKS or not content.can_start_again:
                    raise broke
                received = received_by(upload)
                if received is None:  # docker-registry does not go on with an upload that broke within a chunk
                    upload.cancel()
                    upload = self._open()
                start = received or 0
            digest = _as_expected(passing, expected)
            try:
                upload.finish(digest)
            except RequestErrorWithResponse:
                if not breaks:
                    raise
                upload.cancel()  # what came in while the connection broke is not what was sent
                upload = self._open()
                upload.finish(digest, Outgoing(content.pieces, passing.size))
        except BaseException:
            upload.cancel()
            raise
        return digest, passing.size

    def _append(
        self, upload: Upload, content: Content, passing: Passing, start: int, in_chunks: bool
    ) -> RequestError | None:
        """Send what follows `start`; where that broke off, or did not fit to what was there, why."""
        pieces = passing.through(content.pieces(start), start)
        try:
            if in_chunks:
                self._append_chunks(upload, pieces, start)
            else:
                length = None if content.size is None else content.size - start
                upload.append(lambda: pieces, start=start, length=length)
        except ConnectionFailed as error:
            return error
        except RequestErrorWithResponse as error:
            if error.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            return error
        return None

    def _append_chunks(self, upload: Upload, pieces: Iterable[bytes], start: int) -> None:
        for chunk in _chunks(pieces, max(CHUNK, upload.chunk_minimum)):
            upload.append(partial(iter, [chunk]), start=start, length=len(chunk))
            start += len(chunk)
            self._note(upload)

    def go_on(self, upload: Upload, content: Content, digest: Digest) -> bool:
        """Send what is missing of an upload that was begun earlier; False where the registry makes nothing of that.

        What it has already is not looked at here: it hashes the whole at the end.

        Raises:
            ConnectionFailed: it broke again.
        """
        size = content.size
        for _ in range(_MOST_BREAKS):
            start = received_by(upload)
            if start is None or size is None or start > size:
                break
            try:
                if start < size and self._client.wants_chunks:
                    self._append_chunks(upload, content.pieces(start), start)
                elif start < size:
                    upload.append(partial(content.pieces, start), start=start, length=size - start)
                upload.finish(digest)
            except RequestErrorWithResponse as error:
                if _refuses_patch(error, {HTTPStatus.REQUEST_ENTITY_TOO_LARGE}):
                    self._client.wants_chunks = True  # what the earlier run had found out
                elif error.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    break
                continue  # the end of what the earlier run had sent was still on its way
            return True
        upload.cancel()
        return False

    def _open(self, upload: Upload | None = None) -> Upload:
        upload = upload or open_upload(self._client, self._repository, self._timeout)
        self._note(upload)
        return upload

    def _note(self, upload: Upload) -> None:
        if self._opened is not None:
            self._opened(upload)


def received_by(upload: Upload) -> int | None:
    """How many bytes the registry has; None where it knows the upload no more."""
    try:
        return upload.received()
    except RequestErrorWithResponse:
        return None


def _refuses_patch(error: RequestErrorWithResponse, statuses: set[int]) -> bool:
    was_patch = error.response is not None and error.response.request.method == "PATCH"
    return was_patch and error.status_code in statuses


def _chunks(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """`pieces` joined and cut so that all but the last are of `size` bytes."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)


def _passing(expected: Digest | None) -> Passing:
    return Passing(expected.algorithm) if expected else Passing()


def _as_expected(passing: Passing, expected: Digest | None) -> Digest:
    if expected is not None and passing.digest != expected:
        raise mismatch(expected, passing.digest, "the blob to upload")
    return passing.digest
