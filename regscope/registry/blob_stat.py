"""Whether a blob is in a repository, and how large it is (distribution-spec, Checking if content exists)."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import Literal, TypeAlias

from regscope.errors import (
    ContentError,
    InvalidDigest,
    RequestErrorWithResponse,
    ResourceNotFound,
    TooManyRequests,
)
from regscope.registry.answer import Answer
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.responses import content_length, discard
from regscope.spec.digest import Digest, mismatch

_LOOKS = 4  # some registries serve a blob only a moment after they accepted it
_NO_HEAD = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
_WHOLE = re.compile(r"bytes 0-0/(\d{1,18})")
_NEXT_STEP = "Push it again; if it stays so, report it to whoever runs the registry."


def stat_blob(
    client: DockerRegistryV2Client, repository: str, digest: Digest, timeout: AskTimeout = "default"
) -> tuple[int | None, Answer]:
    """A blob's size (bytes; None where the answer does not state it), and the answer.

    By one HEAD request; where that is redirected to a URL that was signed for GET only, by a GET of one byte.

    Raises:
        ResourceNotFound: no such blob in this repository.
    """
    url = client.url(repository, "blobs", digest)
    try:
        response = client.request("HEAD", url, timeout=timeout)
    except RequestErrorWithResponse as error:
        was_redirected = error.response is not None and error.response.url != url
        if isinstance(error, ResourceNotFound | TooManyRequests):
            raise
        if not was_redirected and error.status_code not in _NO_HEAD:
            raise
        return first_byte(client, url, timeout)
    discard(response)
    size = _whole_length(response)
    if size == 0 and not digest.matches(b""):  # some registries state the length of the HEAD's own, empty body
        size = None
    return size, response


def first_byte(client: DockerRegistryV2Client, url: str, timeout: AskTimeout) -> tuple[int | None, Answer]:
    """The size that the answer to a GET of one byte states; no more of the body is read."""
    response = client.request("GET", url, headers={"Range": "bytes=0-0"}, timeout=timeout)
    response.close()
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        stated = _WHOLE.fullmatch(response.headers.get("Content-Range", ""))
        return (int(stated[1]) if stated else None), response
    return _whole_length(response), response


def _whole_length(response: Answer) -> int | None:
    return None if "Content-Encoding" in response.headers else content_length(response)


Found: TypeAlias = Literal["there", "damaged", "absent", "not told"]
"""What a repository has under a blob's digest; not told where these credentials may not ask, or it does not say."""


def look_for(
    client: DockerRegistryV2Client,
    repository: str,
    digest: Digest,
    size: int | None,
    timeout: AskTimeout = "default",
) -> Found:
    """Whether the repository has a blob; with another size than `size`, where that is known, it counts as absent."""
    try:
        stated, _ = stat_blob(client, repository, digest, timeout)
        return "damaged" if has_another_size(client, repository, digest, size, stated, timeout) else "there"
    except ResourceNotFound:
        return "absent"
    except TooManyRequests:
        raise
    except RequestErrorWithResponse:
        return "not told"


def has_another_size(
    client: DockerRegistryV2Client,
    repository: str,
    digest: Digest,
    size: int | None,
    stated: int | None,
    timeout: AskTimeout = "default",
) -> bool:
    """Whether the stored blob has another size: Pulp stores a PUT that was cut off under the blob's digest.

    Where a HEAD has `stated` another size a GET is sent too: the Content-Length of a HEAD may differ from the GET's.
    """
    if not size or stated in (None, size):
        return False
    found, _ = first_byte(client, client.url(repository, "blobs", digest), timeout)
    return found not in (None, size)


def make_sure(
    client: DockerRegistryV2Client,
    repository: str,
    digest: Digest,
    size: int | None,
    answer: Answer,
    timeout: AskTimeout = "default",
    *,
    look: bool = False,
) -> None:
    """Make sure that a blob that `answer` accepted is stored under its digest and with its size.

    An answer that states the digest (`Docker-Content-Digest`) is taken for proof, unless `look`. Where these
    credentials may not read the blob, the answer is believed.

    Raises:
        ContentError: the registry has no such blob, or one with other content.
    """
    stated = _stated_digest(answer, digest.algorithm)
    if stated is not None and stated != digest:
        raise mismatch(digest, stated, f"the blob that was pushed to {repository}")
    if stated is None or look:
        _look(client, repository, digest, size, timeout)


def _stated_digest(answer: Answer, algorithm: str) -> Digest | None:
    """The digest that the answer states; None where it uses another algorithm than the push did."""
    try:
        stated = Digest(answer.headers.get("Docker-Content-Digest", ""))
    except InvalidDigest:
        return None
    return stated if stated.algorithm == algorithm else None


def _look(
    client: DockerRegistryV2Client, repository: str, digest: Digest, size: int | None, timeout: AskTimeout
) -> None:
    for attempt in range(1, _LOOKS + 1):
        try:
            found, _ = stat_blob(client, repository, digest, timeout)
            if size and found != size:  # a HEAD may state another length than the GET
                found, _ = first_byte(client, client.url(repository, "blobs", digest), timeout)
            break
        except ResourceNotFound:
            if attempt == _LOOKS:
                raise _not_as_sent(repository, digest, "is not there") from None
            time.sleep(client.retry_policy.pause(attempt))
        except RequestErrorWithResponse:
            return
    if size is not None and found is not None and found != size:
        raise _not_as_sent(repository, digest, f"has {found:,} bytes there, and {size:,} were sent")


def _not_as_sent(repository: str, digest: Digest, what: str) -> ContentError:
    return ContentError(f"{digest} was pushed to {repository} and accepted, but {what}", next_step=_NEXT_STEP)
