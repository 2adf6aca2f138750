"""Removing one tag, and nothing else (distribution-spec, Deleting tags).

If a registry does not delete tags by name, a new manifest (the stand-in) is pushed over the tag and then deleted, which
also deletes the tag. Before that, deletion is checked to be supported: otherwise the tag would keep the stand-in.
"""

from __future__ import annotations

import contextlib
import io
import secrets
from collections.abc import Callable, Sequence
from http import HTTPStatus

from regscope.errors import AuthFailed, PermissionDeny, RequestError, RequestErrorWithResponse, ResourceNotFound
from regscope.registry.blobs import Blob
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.deletion import Deletion
from regscope.registry.eventually import eventually
from regscope.registry.manifests import ManifestRef, RawManifest
from regscope.registry.responses import discard
from regscope.spec.annotations import STANDS_IN
from regscope.spec.digest import Digest
from regscope.spec.json_forms import compact
from regscope.spec.media_types import DOCKER_CONFIG, DOCKER_MANIFEST, DOCKER_MANIFESTS, OCI_EMPTY, OCI_MANIFEST

_EMPTY = b"{}"
_TRIES = 3


def untag(
    client: DockerRegistryV2Client,
    repository: str,
    tag: str,
    timeout: AskTimeout = "default",
    standing_in: Callable[[Digest], None] | None = None,
    delete: Callable[[Digest], None] | None = None,
) -> None:
    """Remove `tag`; its manifest and the other tags on it are kept.

    Args:
        standing_in: called with the digest of the stand-in before it is pushed over the tag.
        delete: deletes a manifest with its tags, where the registry deletes none by its API.

    Raises:
        ResourceNotFound: there is no such tag.
        Unsupported: the registry supports no deletion; nothing was changed.
        RequestError: the tag cannot be removed, and still points to its manifest; or the registry deleted the manifest
            with it, and both were restored.
    """
    deletion = Deletion(client, repository, timeout)
    tagged = ManifestRef(repository, tag, client, timeout=timeout)
    original, others = None, []
    if delete is None and deletion.knows_tags():
        original = tagged.fetch()
        others = [] if client.deletions.keeps_untagged else deletion.tags()
        if not _by_name(deletion, repository, tag, original):
            original = None
    if original is None:
        if delete is None:
            deletion.make_sure()
        original = tagged.fetch()  # read last of all: the tag may have been moved
        _by_stand_in(client, repository, tag, original, timeout, standing_in, delete)
    client.deletions.keeps_untagged |= see_that_it_stays(deletion, repository, tag, original, others)


def _by_name(deletion: Deletion, repository: str, tag: str, original: RawManifest) -> bool:
    """Delete the tag by its name; False where the registry does not support this.

    Gitea stores a manifest that was pushed by tag under that tag only: so it is pushed by its digest first.
    """
    _keep_by_digest(deletion, repository, tag, original)
    if not deletion.tag(tag):
        return False
    if not deletion.is_gone(tag, original.digest):
        raise RequestError(
            f"the registry accepted the deletion of the tag {repository}:{tag}, and still serves it",
            next_step="Check again later whether it is gone; the registry's log may show the reason.",
        )
    return True


def see_that_it_stays(
    deletion: Deletion, repository: str, tag: str, original: RawManifest, tags: Sequence[str]
) -> bool:
    """Whether the registry kept the manifest; otherwise the manifest and those of `tags` that are gone are restored."""
    if deletion.now(original.digest) is not None:
        return True
    _keep_by_digest(deletion, repository, tag, original)
    for other in tags:
        if other != tag and deletion.now(other) is None:
            deletion.put(other, original)
    if deletion.now(original.digest) is None:
        deletion.put(tag, original)
        raise RequestError(
            f"the registry deletes {original.digest} with its last tag, so the tag {repository}:{tag} was set again",
            next_step="Give the manifest another tag first, or delete it: regscope image delete.",
        )
    return False


def _keep_by_digest(deletion: Deletion, repository: str, tag: str, original: RawManifest) -> None:
    try:
        deletion.put(original.digest, original)
    except (AuthFailed, PermissionDeny) as error:
        raise type(error)(
            f"the tag {repository}:{tag} was not removed: some registries delete a manifest with its last tag, so it "
            f"must be pushed by its digest first, and this push was refused: {error.message}",
            error.status_code,
            error.response,
            code=error.code,
            url=error.url,
            next_step="Use credentials with the permission to push.",
        ) from None
    except RequestErrorWithResponse as error:
        # A manifest that the registry no longer accepts, such as an index that lacks a child, cannot be protected.
        if (error.status_code or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise


def _by_stand_in(
    client: DockerRegistryV2Client,
    repository: str,
    tag: str,
    original: RawManifest,
    timeout: AskTimeout,
    standing_in: Callable[[Digest], None] | None,
    delete: Callable[[Digest], None] | None,
) -> None:
    config = io.BytesIO(_EMPTY)
    Blob(repository, Digest.of(_EMPTY), fileobj=config, client=client, timeout=timeout).upload()
    stand_in, media_type = _stand_in(original.media_type)
    digest = Digest.of(stand_in)
    if standing_in is not None:
        standing_in(digest)
    over_the_tag = ManifestRef(repository, tag, client, timeout=timeout)

    def remove() -> None:
        if delete is None:
            discard(client.request("DELETE", client.url(repository, "manifests", digest), timeout=timeout))
        else:
            delete(digest)

    def is_gone() -> bool:
        found = over_the_tag.get_metadata()
        return found is None or found.digest != digest

    for _ in range(_TRIES):
        over_the_tag.put(stand_in, media_type)
        try:
            remove()
        except ResourceNotFound:
            # distribution deletes the stand-in and fails on a tag that is being written: the repeated request is a 404,
            # and the tag may remain without a manifest.
            found = over_the_tag.get_metadata()
            if found is not None and found.digest != digest:
                return  # another client has set the tag
        except BaseException:
            over_the_tag.put(original.raw, original.media_type)
            with contextlib.suppress(RequestError):
                remove()  # it may have been refused only because the stand-in had the last tag of all
            raise
        else:
            if eventually(is_gone, client.retry_policy.settling) and _is_forgotten(client, repository, tag, timeout):
                return
            break
    over_the_tag.put(original.raw, original.media_type)
    raise RequestError(
        f"the tag {repository}:{tag} was not removed: the registry deletes the manifest and keeps the tag",
        next_step="Try again later; the registry's log may show the reason.",
    )


def _is_forgotten(client: DockerRegistryV2Client, repository: str, tag: str, timeout: AskTimeout) -> bool:
    """Whether a tag whose manifest was deleted is no longer listed: some registries continue to list it."""
    if not client.deletions.forgets_tags:
        client.deletions.forgets_tags = tag not in Deletion(client, repository, timeout).tags()
    return client.deletions.forgets_tags


def _stand_in(like: str | None) -> tuple[bytes, str]:
    """A unique manifest, of Docker's or OCI's kind as the original: the registry has accepted that kind before."""
    is_docker = like in DOCKER_MANIFESTS
    config_type, media_type = (DOCKER_CONFIG, DOCKER_MANIFEST) if is_docker else (OCI_EMPTY, OCI_MANIFEST)
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": config_type, "digest": Digest.of(_EMPTY), "size": len(_EMPTY)},
        "layers": [],
        "annotations": {STANDS_IN: secrets.token_hex(16)},
    }
    return compact(document), media_type
