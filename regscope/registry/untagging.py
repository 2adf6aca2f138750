"""Removing one tag, and nothing else (distribution-spec, Deleting tags).

Where a registry deletes no tag by its name, a manifest of its own is pushed over the tag and then deleted, which takes
the tag along. Before that it is made sure that the registry deletes at all: or the tag would be lost to the stand-in.
"""

from __future__ import annotations

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
) -> None:
    """Remove `tag`; its manifest and the other tags on it stay.

    Args:
        standing_in: hears the digest of the manifest that is to stand in for the tag's own, before it is pushed.

    Raises:
        ResourceNotFound: no such tag.
        Unsupported: the registry deletes nothing; nothing was changed.
        RequestError: it cannot be removed, and points to what it did; or its manifest went with it, and is back.
    """
    deletion = Deletion(client, repository, timeout)
    tagged = ManifestRef(repository, tag, client, timeout=timeout)
    original, others = None, []
    if deletion.knows_tags():
        original = tagged.fetch()
        others = [] if client.deletions.keeps_untagged else deletion.tags()
        if not _by_name(deletion, repository, tag, original):
            original = None
    if original is None:
        deletion.make_sure()
        original = tagged.fetch()  # as late as can be: tags move
        _by_stand_in(client, repository, tag, original, timeout, standing_in)
    client.deletions.keeps_untagged |= _see_that_it_stays(deletion, repository, tag, original, others)


def _by_name(deletion: Deletion, repository: str, tag: str, original: RawManifest) -> bool:
    """Remove the tag by its name; False where that is unknown to the registry.

    At Gitea a manifest that was pushed by a tag is stored under that tag alone: so it is put by its digest before.
    """
    _keep_by_digest(deletion, repository, tag, original)
    if not deletion.tag(tag):
        return False
    if not deletion.is_gone(tag, original.digest):
        raise RequestError(
            f"the registry accepted the deletion of the tag {repository}:{tag}, and still serves it",
            next_step="Look again later; the registry's log may say more.",
        )
    return True


def _see_that_it_stays(
    deletion: Deletion, repository: str, tag: str, original: RawManifest, tags: Sequence[str]
) -> bool:
    """Whether the manifest has stayed by itself; else it is put back, and so are `tags` that are gone with it."""
    if deletion.now(original.digest) is not None:
        return True
    _keep_by_digest(deletion, repository, tag, original)
    for other in tags:
        if other != tag and deletion.now(other) is None:
            deletion.put(other, original)
    if deletion.now(original.digest) is None:
        deletion.put(tag, original)
        raise RequestError(
            f"the registry deletes {original.digest} with its last tag, so {repository}:{tag} was set again",
            next_step="Give the manifest another tag first, or delete it: regscope image delete.",
        )
    return False


def _keep_by_digest(deletion: Deletion, repository: str, tag: str, original: RawManifest) -> None:
    try:
        deletion.put(original.digest, original)
    except (AuthFailed, PermissionDeny) as error:
        raise type(error)(
            f"the tag {repository}:{tag} is not removed: its manifest must be put by its digest before, since some "
            f"registries delete it with its last tag, and that was refused: {error.message}",
            error.status_code,
            error.response,
            code=error.code,
            url=error.url,
            next_step="Use a login that may push as well.",
        ) from None
    except RequestErrorWithResponse as error:
        # What no registry takes now, as an index that lacks a child, cannot be kept better than it is.
        if (error.status_code or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise


def _by_stand_in(
    client: DockerRegistryV2Client,
    repository: str,
    tag: str,
    original: RawManifest,
    timeout: AskTimeout,
    standing_in: Callable[[Digest], None] | None,
) -> None:
    config = io.BytesIO(_EMPTY)
    Blob(repository, Digest.of(_EMPTY), fileobj=config, client=client, timeout=timeout).upload()
    stand_in, media_type = _stand_in(original.media_type)
    digest = Digest.of(stand_in)
    if standing_in is not None:
        standing_in(digest)
    over_the_tag = ManifestRef(repository, tag, client, timeout=timeout)

    def is_gone() -> bool:
        found = over_the_tag.get_metadata()
        return found is None or found.digest != digest

    for _ in range(_TRIES):
        over_the_tag.put(stand_in, media_type)
        try:
            discard(client.request("DELETE", client.url(repository, "manifests", digest), timeout=timeout))
        except ResourceNotFound:
            # distribution deletes first, and stumbles over a tag that is being written: asked again, it has no stand-in
            # any more, and the tag may be left without one.
            if over_the_tag.get_metadata() is not None:
                return  # somebody has set it anew
        except BaseException:
            over_the_tag.put(original.raw, original.media_type)
            raise
        else:
            if eventually(is_gone, client.retry_policy.settling) and _is_forgotten(client, repository, tag, timeout):
                return
            break
    over_the_tag.put(original.raw, original.media_type)
    raise RequestError(
        f"the tag {repository}:{tag} is not removed: the registry deletes what it points to, and leaves the tag",
        next_step="Try again later; the registry's log may say more.",
    )


def _is_forgotten(client: DockerRegistryV2Client, repository: str, tag: str, timeout: AskTimeout) -> bool:
    """Whether a tag whose manifest was deleted is not listed any more: some registries go on listing it."""
    if not client.deletions.forgets_tags:
        client.deletions.forgets_tags = tag not in Deletion(client, repository, timeout).tags()
    return client.deletions.forgets_tags


def _stand_in(like: str | None) -> tuple[bytes, str]:
    """A manifest that nobody else has, of a kind that the registry takes: it has the original's family already."""
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
