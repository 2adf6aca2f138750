"""How a blob's bytes get to a registry: in one request, or streamed and hashed on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from http import HTTPStatus

from regscope.errors import ConnectionFailed, RequestError, RequestErrorWithResponse
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.local_content import LocalContent
from regscope.registry.outgoing import Outgoing
from regscope.registry.uploads import Upload, begin_upload
from regscope.spec.digest import Digest, mismatch

_MOST_BREAKS = 3


def send_at_once(
    client: DockerRegistryV2Client, repository: str, content: LocalContent, expected: Digest | None, timeout: AskTimeout
) -> tuple[Digest, int]:
    """Hash first, then send all in one PUT; what the digest is, and the size in bytes.

    Raises:
        DigestMismatch: the content is not what `expected` names; nothing was sent.
    """
    held = None if content.can_start_again else b"".join(content.pieces())
    hashing = _Hashing(expected)
    for piece in [held] if held is not None else content.pieces():
        hashing.take(piece)
    digest, size = hashing.digest(), hashing.size
    upload = _begin(client, repository, timeout)
    try:
        upload.send_all(digest, Outgoing(content.pieces, size) if held is None else held)
    except BaseException:
        upload.cancel()
        raise
    return digest, size


def send_streaming(
    client: DockerRegistryV2Client, repository: str, content: LocalContent, expected: Digest | None, timeout: AskTimeout
) -> tuple[Digest, int]:
    """Send by one PATCH, hashing what passes by; what the digest is, and the size in bytes.

    After a connection that broke it goes on with what the registry has not got, if the content can be read again; where
    the registry wants to know nothing of an upload that broke, all of it is sent once more.

    Raises:
        DigestMismatch: the content is not what `expected` names; the registry was not told to keep it.
    """
    hashing = _Hashing(expected)
    upload = _begin(client, repository, timeout)
    breaks = 0
    start = 0
    try:
        while (broke := _append(upload, content, hashing, start)) is not None:
            breaks += 1
            if breaks > _MOST_BREAKS or not content.can_start_again:
                raise broke
            received = _received(upload)
            if received is None:  # docker-registry does not go on with an upload that broke within a chunk
                upload.cancel()
                upload = _begin(client, repository, timeout)
            start = received or 0
        digest = hashing.digest()
        try:
            upload.finish(digest)
        except RequestErrorWithResponse:
            if not breaks:
                raise
            upload.cancel()  # what came in while the connection broke is not what was sent
            upload = _begin(client, repository, timeout)
            upload.send_all(digest, Outgoing(content.pieces, hashing.size))
    except BaseException:
        upload.cancel()
        raise
    return digest, hashing.size


def _append(upload: Upload, content: LocalContent, hashing: _Hashing, start: int) -> RequestError | None:
    """Send what follows `start`; where that broke off, or did not fit to what was there, why."""
    size = content.size
    passing = partial(hashing.passing, content.pieces(start), start)
    try:
        upload.append(passing, start=start, length=None if size is None else size - start)
    except ConnectionFailed as error:
        return error
    except RequestErrorWithResponse as error:
        if error.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return error
    return None


def _received(upload: Upload) -> int | None:
    """How much the registry has; None where it knows the upload no more."""
    try:
        return upload.received()
    except RequestErrorWithResponse:
        return None


def _begin(client: DockerRegistryV2Client, repository: str, timeout: AskTimeout) -> Upload:
    upload = begin_upload(client, repository, timeout=timeout)
    assert upload is not None  # nothing was to be mounted
    return upload


class _Hashing:
    """The digest of bytes that pass by, some of them perhaps more than once."""

    def __init__(self, expected: Digest | None) -> None:
        self._expected = expected
        self._algorithm = expected.algorithm if expected else "sha256"
        self._hasher = hashlib.new(self._algorithm)
        self.size = 0

    def take(self, piece: bytes) -> None:
        """The bytes that follow."""
        self._hasher.update(piece)
        self.size += len(piece)

    def passing(self, pieces: Iterable[bytes], start: int) -> Iterator[bytes]:
        """`pieces`, the first of which begins at `start`, as they come; what was seen before is not hashed again."""
        for piece in pieces:
            if fresh := piece[max(self.size - start, 0) :]:
                self.take(fresh)
            start += len(piece)
            yield piece

    def digest(self) -> Digest:
        """What all of it hashes to; DigestMismatch where something else was expected."""
        found = Digest(f"{self._algorithm}:{self._hasher.hexdigest()}")
        if self._expected is not None and found != self._expected:
            raise mismatch(self._expected, found, "the blob to upload")
        return found
