"""Blobs by digest (distribution-spec, Pulling blobs, Pushing blobs), verified as they stream."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO

from regscope.errors import ConnectionFailed, InvalidInput, RequestErrorWithResponse, TooLarge, TooManyRequests
from regscope.pieces import PIECE
from regscope.registry.answer import Answer
from regscope.registry.background_hash import verified_in_background
from regscope.registry.blob_stat import first_byte, has_another_size, stat_blob
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.default_client import default_client
from regscope.registry.http_response import response_of
from regscope.registry.local_content import LocalContent, written_whole
from regscope.registry.mounting import mount
from regscope.registry.origin import without_secrets
from regscope.registry.responses import content_length, discard, read_whole
from regscope.registry.sending import Sender
from regscope.registry.uploads import Upload
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.media_types import without_parameters
from regscope.spec.reference import check_repository
from regscope.text import plain

_MOST_BREAKS = 3
_MOST_UNSAID = 2**30  # bytes of a blob whose size is not stated anywhere


class Blob:
    """A blob in a repository, and the local file or object to download it to or upload it from.

    Args:
        repo: the repository's whole name.
        digest: of the blob.
        local_path, fileobj: the local content; one of the two.
        client: of the registry.
        timeout: seconds; the client's own by default.
        size: of the blob, as its descriptor states it (bytes); no more is read.
    """

    def __init__(
        self,
        repo: str,
        digest: str | None = None,
        local_path: Path | str | None = None,
        fileobj: IO[bytes] | None = None,
        client: DockerRegistryV2Client | None = None,
        *,
        timeout: AskTimeout = "default",
        size: int | None = None,
    ) -> None:
        self.repo = check_repository(repo)
        self.size = size
        self.digest = Digest(digest) if digest else None
        self.local_path = Path(local_path) if local_path is not None else None
        self.fileobj = fileobj
        self.client = client or default_client
        self.timeout = timeout

    def stat(self, digest: str | None = None) -> Descriptor:
        """The blob's size (bytes) and stated media type, by one HEAD request.

        Where that is redirected to a URL that was signed for GET only, by a GET of one byte.

        Raises:
            ResourceNotFound: no such blob in this repository.
        """
        wanted = self._wanted(digest)
        size, response = stat_blob(self.client, self.repo, wanted, self.timeout)
        return self._described(wanted, size, response) if size is not None else self.stat_by_get(wanted)

    def stat_by_get(self, digest: str | None = None) -> Descriptor:
        """As `stat`, by a GET of one byte: at pull-through caches a HEAD may answer 404 for a blob that a GET finds."""
        wanted = self._wanted(digest)
        return self._described(wanted, *first_byte(self.client, self._url(wanted), self.timeout))

    def _described(self, wanted: Digest, size: int | None, response: Answer) -> Descriptor:
        if size is None:
            raise RequestErrorWithResponse(
                f"the registry does not say how large {wanted} is",
                response.status_code,
                response_of(response),
                url=without_secrets(response.url),
            )
        media_type = without_parameters(response.headers.get("Content-Type")) or "application/octet-stream"
        return Descriptor(mediaType=media_type, digest=wanted, size=size)

    def chunks(self, digest: str | None = None) -> Iterator[bytes]:
        """The blob's bytes in chunks of up to 1 MiB. After a broken connection only the rest is requested again.

        Raises:
            DigestMismatch: after the last chunk, if the bytes do not hash to the digest.
            ConnectionFailed: the blob ended early.
            TooLarge: the blob is larger than its `size`, or than the limit for a blob whose size is not stated.
        """
        wanted = self._wanted(digest)
        yield from verified_in_background(self._pieces(wanted, 0, self.size), wanted, f"the blob in {self.repo}")

    def rest(self, start: int, size: int) -> Iterator[bytes]:
        """The bytes from `start` to `size`, not verified: that needs the bytes before `start` too.

        Raises:
            ConnectionFailed: the blob ended early.
            TooLarge: more follows.
        """
        return self._pieces(self._wanted(None), start, size)

    def _pieces(self, digest: Digest, got: int, size: int | None) -> Iterator[bytes]:
        """The blob's bytes; after a break the rest is requested, until several attempts in a row bring no byte."""
        breaks, most = 0, size
        while True:
            response = self._from(digest, got, size)
            if got == 0 and "Content-Encoding" not in response.headers:
                size = content_length(response)
            if most is None:
                most = self._most(digest, size)
            seen = 0 if response.status_code == HTTPStatus.PARTIAL_CONTENT else got  # else it starts over
            try:
                for piece in response.raw.stream(PIECE):
                    fresh, seen = piece[seen:], max(seen - len(piece), 0)
                    if fresh:
                        got, breaks = got + len(fresh), 0
                        if got > most:
                            raise self._too_large(digest, most)
                        yield fresh
                return
            except ConnectionFailed:
                breaks += 1
                if size is None or breaks > _MOST_BREAKS:
                    raise
            finally:
                response.close()

    def _most(self, digest: Digest, stated: int | None) -> int:
        """The most bytes that are read where no descriptor states the size: what the registry states."""
        if stated is not None:
            return stated
        try:
            return self.stat(digest).size
        except RequestErrorWithResponse:
            return _MOST_UNSAID

    def _too_large(self, digest: Digest, most: int) -> TooLarge:
        return TooLarge(
            f"the blob {digest} in {self.repo} has more than the expected {most:,} bytes: not read further",
            next_step="Push it again, or find out who pushed it; give its size if known: Blob(…, size=…).",
        )

    def _from(self, digest: Digest, start: int, size: int | None) -> Answer:
        """The blob from `start` on, or all of it where the registry does not support ranges (RFC 9110, 14.2)."""
        headers = {"Range": f"bytes={start}-{size - 1}"} if start and size else {}
        response = self.client.request("GET", self._url(digest), headers=headers, timeout=self.timeout)
        stated = response.headers.get("Content-Range", "")
        if response.status_code == HTTPStatus.PARTIAL_CONTENT and not stated.startswith(f"bytes {start}-"):
            response.close()
            raise ConnectionFailed(
                f"the rest of {digest} was requested, and the answer has another range: {plain(stated, 80) or 'none'}",
                url=without_secrets(response.url),
                next_step="Try again; if it stays so, report it to whoever runs the registry.",
            )
        return response

    def read(self, limit: int) -> bytes:
        """The whole of a small blob, verified.

        Raises:
            TooLarge: it has more than `limit` bytes.
            DigestMismatch, ConnectionFailed: as `chunks`, after three attempts.
        """
        wanted = self._wanted(None)
        what = f"the blob {wanted} in {self.repo}"
        ask = partial(self.client.request, "GET", self._url(wanted), timeout=self.timeout)
        _, content = read_whole(ask, limit, what)
        return wanted.verify(content, what)

    def download(self, digest: str | None = None) -> None:
        """Write the blob to `local_path` or `fileobj`.

        A file appears under `local_path` only when it is complete and verified. Discard what was written to a `fileobj`
        before an error.
        """
        if self.fileobj is not None:
            for chunk in self.chunks(digest):
                self.fileobj.write(chunk)
        elif self.local_path is not None:
            with written_whole(self.local_path) as file:
                file.writelines(self.chunks(digest))
        else:
            raise InvalidInput("a blob is downloaded to local_path or to fileobj, and neither was given")

    def upload(self) -> Descriptor:
        """Upload the content of `local_path`, or of `fileobj` from its current position, and set `digest`.

        A blob that the repository already has is not sent, unless it has another size there. A large blob is hashed
        while it is streamed; after a broken connection the upload is continued.

        Raises:
            DigestMismatch: the content does not hash to the digest that the blob was made with.
            ContentError: the registry stored other content under the digest.
            RequestError: the registry refused the upload.
        """
        content = LocalContent(self.local_path, self.fileobj)
        there = None if self.digest is None else self._there(self.digest)
        if there is None:
            return self._sent(*self._sender.send(content, self.digest))
        if has_another_size(self.client, self.repo, there.digest, content.size, there.size, self.timeout):
            sender = Sender(self.client, self.repo, self.timeout, looks=True)
            return self._sent(*sender.send(content, self.digest))
        return there

    def upload_at_one_time(self) -> Descriptor:
        """Upload all of the content, of a `fileobj` from its beginning, in one request (a monolithic PUT)."""
        if self.fileobj is not None and self.fileobj.seekable():
            self.fileobj.seek(0)
        content = LocalContent(self.local_path, self.fileobj)
        return self._sent(*self._sender.send_at_once(content, self.digest))

    def mount_from(self, from_repo: str) -> Descriptor:
        """Mount the blob from another repository of the registry; where that is refused, copy its bytes.

        Raises:
            ResourceNotFound: no such blob there.
        """
        wanted = self._wanted(None)
        done = mount(self.client, self.repo, wanted, from_repo, None, self.timeout)
        if done == "mounted":
            return self.stat()
        upload = done if isinstance(done, Upload) else None
        try:
            content = _Elsewhere(Blob(from_repo, wanted, client=self.client, timeout=self.timeout))
        except BaseException:
            if upload is not None:
                upload.cancel()
            raise
        return self._sent(*self._sender.send(content, wanted, upload))

    def delete(self, digest: str | None = None) -> bool:
        """Delete the blob from the repository; True, or an error.

        Raises:
            ResourceNotFound: no such blob.
            Unsupported: the registry does not delete blobs.
        """
        discard(self.client.request("DELETE", self._url(self._wanted(digest)), timeout=self.timeout))
        return True

    @property
    def _sender(self) -> Sender:
        return Sender(self.client, self.repo, self.timeout)

    def _there(self, digest: Digest) -> Descriptor | None:
        """Whether the repository is known to have the blob; where that cannot be found out, it is sent."""
        try:
            return self.stat(digest)
        except TooManyRequests:
            raise
        except RequestErrorWithResponse:
            return None

    def _sent(self, digest: Digest, size: int) -> Descriptor:
        self.digest = digest
        return Descriptor(mediaType="application/octet-stream", digest=digest, size=size)

    def _wanted(self, digest: str | None) -> Digest:
        wanted = Digest(digest) if digest else self.digest
        if wanted is None:
            raise InvalidInput("this blob has no digest")
        return wanted

    def _url(self, digest: Digest) -> str:
        return self.client.url(self.repo, "blobs", digest)


class _Elsewhere:
    """A blob of another repository, as content that can be sent."""

    can_start_again = True

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.size = blob.stat().size

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """What follows the first `start` bytes."""
        return self._blob.rest(start, self.size) if start else self._blob.chunks()
