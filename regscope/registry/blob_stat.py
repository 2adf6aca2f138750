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

_LOOKS = 4  # some registries show what they have accepted a moment later
_NO_HEAD = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
_WHOLE = re.compile(r"bytes 0-0/(\d{1,18})")
_NEXT_STEP = "Push it again; if it stays so, report it to whoever runs the registry."


def stat_blob(
    client: DockerRegistryV2Client, repository: str, digest: Digest, timeout: AskTimeout = "default"
) -> tuple[int | None, Answer]:
    """A blob's size (bytes; None where that is not said), and the answer that told it.

    By one HEAD request; where that is redirected to an address which was signed for GET alone, by a GET of one byte.

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
    if size == 0 and not digest.matches(b""):  # as some say of a HEAD's own body
        size = None
    return size, response


def first_byte(client: DockerRegistryV2Client, url: str, timeout: AskTimeout) -> tuple[int | None, Answer]:
    """The size that an answer to a GET of one byte states; of the body no more is read."""
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
    """Whether the repository has a blob; one that is not of this `size`, where that is known, is damaged."""
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
    """Whether what is there is not as large as the blob: Pulp keeps under its digest what came of a PUT that was cut.

    Asked once more where a HEAD has `stated` another size, since it may not be that of the GET that it stands for.
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
    """Make sure that what was accepted by `answer` is there: under its digest, and as large as it is.

    An answer that states the digest (`Docker-Content-Digest`) is taken for proof, unless `look`. What these credentials
    may not look at is believed.

    Raises:
        ContentError: something else is there, or nothing.
    """
    stated = _stated_digest(answer, digest.algorithm)
    if stated is not None and stated != digest:
        raise mismatch(digest, stated, f"the blob that was pushed to {repository}")
    if stated is None or look:
        _look(client, repository, digest, size, timeout)


def _stated_digest(answer: Answer, algorithm: str) -> Digest | None:
    """None too where a registry names all content by its own algorithm, whatever it was pushed by."""
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
            if size and found != size:  # a HEAD may state another length than the GET that it stands for
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
