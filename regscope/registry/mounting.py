"""Mounting blobs from another repository of the registry (distribution-spec, Mounting a blob)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from regscope.errors import ConnectionFailed, ContentError, RequestErrorWithResponse, TLSFailed, TooManyRequests
from regscope.registry.blob_stat import make_sure
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.responses import discard
from regscope.registry.uploads import Upload, open_upload, opened, uploads_url
from regscope.spec.digest import Digest

_ABOUT_THIS_BLOB = {"BLOB_UNKNOWN", "DIGEST_INVALID"}
_ABOUT_THE_SOURCE = {"NAME_UNKNOWN", "NAME_INVALID"}
_NO_MOUNTS = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.NOT_IMPLEMENTED,
}


def mount(
    client: DockerRegistryV2Client,
    repository: str,
    digest: Digest,
    source: str,
    size: int | None = None,
    timeout: AskTimeout = "default",
) -> Upload | Literal["mounted", "refused"]:
    """Mount a blob from the repository `source`; where the registry opens an upload instead, return that.

    A refusal is no error, since the blob can be uploaded. It is remembered: for these two repositories, or for the
    whole registry where that does not support mounts.

    Args:
        size: bytes of the blob, where they are known.

    Raises:
        TooManyRequests: the rate limit was still exceeded after all attempts.
        TLSFailed: the registry's certificate is not trusted.
    """
    habits, pair = client.uploads, (source, repository)
    if not habits.mounts or pair in habits.not_mounted:
        return "refused"
    params = {"mount": digest, "from": source}
    try:
        response = client.request("POST", uploads_url(client, repository), params=params, data=b"", timeout=timeout)
        if response.status_code != HTTPStatus.CREATED:
            return opened(client, response, timeout)
        discard(response)
        make_sure(client, repository, digest, size, response, timeout)
    except TooManyRequests:
        raise
    except RequestErrorWithResponse as error:  # zuul-registry: 404; Harbor: 401 or 403 for an unreadable project
        _remember(client, error, pair)
        return "refused"
    except ContentError:  # it answered 201, and has no such blob
        habits.not_mounted.add(pair)
        return "refused"
    except TLSFailed:
        raise
    except ConnectionFailed:
        return "refused"
    return "mounted"


def _remember(client: DockerRegistryV2Client, error: RequestErrorWithResponse, pair: tuple[str, str]) -> None:
    status, code = error.status_code or 0, error.code
    if code in _ABOUT_THIS_BLOB or (status >= 500 and status not in _NO_MOUNTS):
        return
    if status in _NO_MOUNTS and code not in _ABOUT_THE_SOURCE:
        client.uploads.mounts = False
    else:
        client.uploads.not_mounted.add(pair)


def mount_or_open(
    client: DockerRegistryV2Client, repository: str, digest: Digest, source: str, timeout: AskTimeout = "default"
) -> Upload | None:
    """As `mount`: None where the blob was mounted; else an open upload.

    Raises:
        RequestError: the upload was refused as well, or its address is missing.
    """
    done = mount(client, repository, digest, source, None, timeout)
    if isinstance(done, Upload):
        return done
    return None if done == "mounted" else open_upload(client, repository, timeout)
