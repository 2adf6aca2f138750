"""How a blob's bytes get to a registry: in one request, or streamed and hashed on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial

from regscope.errors import ConnectionFailed
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

    After a connection that broke it goes on with what the registry has not got, if the content can be read again.

    Raises:
        DigestMismatch: the content is not what `expected` names; the registry was not told to keep it.
    """
    hashing = _Hashing(expected)
    upload = _begin(client, repository, timeout)
    try:
        _fill(upload, content, hashing)
        digest = hashing.digest()
        upload.finish(digest)
    except BaseException:
        upload.cancel()
        raise
    return digest, hashing.size


def _begin(client: DockerRegistryV2Client, repository: str, timeout: AskTimeout) -> Upload:
    upload = begin_upload(client, repository, timeout=timeout)
    assert upload is not None  # nothing was to be mounted
    return upload


def _fill(upload: Upload, content: LocalContent, hashing: _Hashing) -> None:
    """Send everything; after a break what the registry has not got."""
    size = content.size
    start, breaks = 0, 0
    while True:
        passing = partial(hashing.passing, content.pieces(start), start)
        try:
            upload.append(passing, start=start, length=None if size is None else size - start)
            return
        except ConnectionFailed:
            breaks += 1
            if breaks > _MOST_BREAKS or not content.can_start_again:
                raise
            received = upload.received()
            if received > start:
                breaks = 0
            start = received


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
