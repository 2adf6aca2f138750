"""An upload of a blob: opened, filled, finished or cancelled (distribution-spec, Pushing blobs)."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

from regscope.errors import ConnectionFailed, RequestError, RequestErrorWithResponse, TLSFailed
from regscope.registry.answer import Answer
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.framing import whole_number
from regscope.registry.http_response import response_of
from regscope.registry.origin import without_secrets
from regscope.registry.request_body import Payload, RequestBody
from regscope.registry.responses import discard, error_from
from regscope.registry.upload_location import upload_location
from regscope.spec.digest import Digest

_OCTETS = {"Content-Type": "application/octet-stream"}
_RECEIVED = re.compile(r"(?:bytes=)?0-(\d{1,18})")
_ACCEPTED = {HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT, HTTPStatus.OK}
_MOST_OPENINGS = 3
_LARGEST_CHUNK = 2**27  # bytes that are buffered for a registry's minimum; a larger minimum is ignored
PASSING_FAULTS = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
"""Statuses by which a proxy says that the registry behind it did not answer."""


class Upload:
    """An open upload. Its address changes with each answer; with the newest, `location`, another process can continue.

    Args:
        client: of the registry.
        location: the upload's address in the latest answer.
        chunk_minimum: the least bytes of a chunk other than the last one; 0 for no minimum.
    """

    def __init__(
        self,
        client: DockerRegistryV2Client,
        location: str,
        *,
        chunk_minimum: int = 0,
        timeout: AskTimeout = "default",
    ) -> None:
        self.client = client
        self.location = location
        self.chunk_minimum = chunk_minimum
        self.timeout = timeout

    def append(
        self,
        pieces: Callable[[], Iterable[bytes]],
        *,
        start: int,
        length: int | None = None,
        repeatable: bool = False,
    ) -> None:
        """Send what follows the first `start` bytes.

        Args:
            pieces: of the blob, from `start` on.
            length: bytes; where it is known the range is sent too, which some registries require.
            repeatable: whether `pieces` may be called again, for another token or a later attempt.

        Raises:
            ConnectionFailed: the connection broke; `received` tells how many bytes arrived.
        """
        headers = dict(_OCTETS)
        if length is not None:
            headers["Content-Range"] = f"{start}-{start + length - 1}"
        body = RequestBody(pieces, length, repeatable)
        response = self.client.request("PATCH", self.location, headers=headers, data=body, timeout=self.timeout)
        self._follow(response)

    def received(self) -> int | None:
        """How many bytes the registry has (distribution-spec, Pushing a blob in chunks: the upload's status).

        None where its answer does not say.
        """
        response = self.client.request("GET", self.location, timeout=self.timeout)
        self._follow(response)
        stated = _RECEIVED.fullmatch(response.headers.get("Range", ""))
        if stated is None:
            return None
        last = int(stated[1])
        return last + 1 if last else 0  # `0-0` is also sent for an empty upload

    def finish(self, digest: Digest, content: Payload = b"", *, start: int = 0) -> Answer:
        """Finish the upload, with the last chunk or with the whole blob (a monolithic PUT).

        Args:
            start: bytes that were sent before `content`, where that is the last chunk.

        Raises:
            RequestErrorWithResponse: the received bytes do not hash to `digest`.
        """
        headers = dict(_OCTETS)
        if start and isinstance(content, bytes):
            headers["Content-Range"] = f"{start}-{start + len(content) - 1}"
        response = self.client.request(
            "PUT", self.location, params={"digest": digest}, headers=headers, data=content, timeout=self.timeout
        )
        if response.status_code not in _ACCEPTED:
            raise error_from(response)
        discard(response)
        return response

    def cancel(self) -> None:
        """Cancel the upload; where the registry refuses that, it purges the upload later."""
        with contextlib.suppress(RequestError):
            discard(self.client.request("DELETE", self.location, timeout=self.timeout))

    def _follow(self, response: Answer) -> None:
        discard(response)
        if stated := response.headers.get("Location"):
            self.location = upload_location(self.client, response.url, stated)


def open_upload(client: DockerRegistryV2Client, repository: str, timeout: AskTimeout = "default") -> Upload:
    """Open an upload; repeated where there was no answer, since registries purge unused uploads.

    Raises:
        RequestError: the registry refused it, or stated no address.
    """
    url = uploads_url(client, repository)
    for attempt in range(1, _MOST_OPENINGS):
        try:
            return opened(client, client.request("POST", url, data=b"", timeout=timeout), timeout)
        except TLSFailed:
            raise
        except (ConnectionFailed, RequestErrorWithResponse) as error:
            if isinstance(error, RequestErrorWithResponse) and error.status_code not in PASSING_FAULTS:
                raise
        time.sleep(client.retry_policy.pause(attempt))
    return opened(client, client.request("POST", url, data=b"", timeout=timeout), timeout)


def uploads_url(client: DockerRegistryV2Client, repository: str) -> str:
    """The URL at which uploads to a repository are opened."""
    return client.url(repository, "blobs", "uploads", "")


def opened(client: DockerRegistryV2Client, response: Answer, timeout: AskTimeout) -> Upload:
    """The upload that an answer opens.

    Raises:
        RequestErrorWithResponse: the answer opens none.
        UnsafeRedirect: the upload's address must not be followed.
    """
    discard(response)
    url = without_secrets(response.url)
    stated = response.headers.get("Location")
    if not stated:
        raise RequestErrorWithResponse(
            f"{url} accepted an upload without stating its address",
            response.status_code,
            response_of(response),
            url=url,
            next_step="Report it to whoever runs the registry.",
        )
    return Upload(
        client,
        upload_location(client, response.url, stated),
        chunk_minimum=min(whole_number(response.headers.get("OCI-Chunk-Min-Length", "")) or 0, _LARGEST_CHUNK),
        timeout=timeout,
    )
