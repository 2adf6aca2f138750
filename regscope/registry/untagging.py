"""Removing one tag, and nothing else (distribution-spec, Deleting tags).

Where a registry deletes no tag by its name, a manifest of its own is pushed over the tag and then deleted, which takes
the tag along. Before that it is made sure that the registry deletes at all: or the tag would be lost to the stand-in.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
from http import HTTPStatus

from regscope.errors import RequestError, RequestErrorWithResponse, ResourceNotFound, Unsupported
from regscope.registry.blobs import Blob
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.deletion import refusal_to_delete
from regscope.registry.manifests import ManifestRef, RawManifest
from regscope.registry.responses import discard
from regscope.spec.digest import Digest
from regscope.spec.media_types import DOCKER_CONFIG, DOCKER_MANIFEST, DOCKER_MANIFESTS, OCI_EMPTY, OCI_MANIFEST

_EMPTY = b"{}"
_MARK = "regscope.stands-in"
_TRIES = 3


def untag(client: DockerRegistryV2Client, repository: str, tag: str, timeout: AskTimeout = "default") -> None:
    """Remove `tag`; its manifest and the other tags on it stay.

    Raises:
        ResourceNotFound: no such tag.
        Unsupported: the registry deletes nothing; nothing was changed.
        RequestError: it cannot be removed, and points to what it did.
    """
    try:
        discard(client.delete(client.url(repository, "manifests", tag), timeout=timeout))
    except RequestErrorWithResponse as error:
        if not _knows_no_tag_deletion(error):
            raise
        make_sure_it_deletes(client, repository, timeout)
        original = ManifestRef(repository, tag, client, timeout=timeout).fetch()  # as late as can be: tags move
        if is_stand_in(original):  # of a run that was killed
            discard(client.delete(client.url(repository, "manifests", original.digest), timeout=timeout))
            return
        _by_stand_in(client, repository, tag, original, timeout)


def is_stand_in(manifest: RawManifest) -> bool:
    """Whether a manifest was pushed to be deleted, so that a tag goes with it."""
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        return _MARK in (json.loads(manifest.raw).get("annotations") or {})
    return False


def _knows_no_tag_deletion(error: RequestErrorWithResponse) -> bool:
    # Older ones take the tag for a broken digest.
    return isinstance(error, Unsupported) or error.status_code == HTTPStatus.BAD_REQUEST


def make_sure_it_deletes(client: DockerRegistryV2Client, repository: str, timeout: AskTimeout = "default") -> None:
    """Find out whether manifests can be deleted.

    Raises:
        Unsupported: the registry deletes nothing.
        PermissionDeny, AuthFailed: these credentials may not.
    """
    refusal = refusal_to_delete(client, repository, Digest.of(secrets.token_bytes(32)), timeout)
    if refusal is not None:
        raise Unsupported(
            f"{repository} cannot be deleted from: {refusal.message}",
            refusal.status_code,
            next_step="Check that the address is a registry's, and that its administrator allows deletion.",
        )


def _by_stand_in(
    client: DockerRegistryV2Client, repository: str, tag: str, original: RawManifest, timeout: AskTimeout
) -> None:
    config = io.BytesIO(_EMPTY)
    Blob(repository, Digest.of(_EMPTY), fileobj=config, client=client, timeout=timeout).upload()
    stand_in, media_type = _stand_in(original.media_type)
    over_the_tag = ManifestRef(repository, tag, client, timeout=timeout)
    for _ in range(_TRIES):
        over_the_tag.put(stand_in, media_type)
        try:
            discard(client.delete(client.url(repository, "manifests", Digest.of(stand_in)), timeout=timeout))
            return
        except ResourceNotFound:
            # distribution deletes first, and stumbles over a tag that is being written: asked again, it has no stand-in
            # any more, and the tag may be left without one.
            if over_the_tag.get_metadata() is not None:
                return  # somebody has set it anew
        except BaseException:
            over_the_tag.put(original.raw, original.media_type)
            raise
    over_the_tag.put(original.raw, original.media_type)
    raise RequestError(
        f"the tag {repository}:{tag} is not removed: the registry deletes what it points to, and leaves the tag",
        next_step="Try again later; the registry's log may say more.",
    )


def _stand_in(like: str | None) -> tuple[bytes, str]:
    """A manifest that nobody else has, of a kind that the registry takes: it has the original's family already."""
    is_docker = like in DOCKER_MANIFESTS
    config_type, media_type = (DOCKER_CONFIG, DOCKER_MANIFEST) if is_docker else (OCI_EMPTY, OCI_MANIFEST)
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": config_type, "digest": Digest.of(_EMPTY), "size": len(_EMPTY)},
        "layers": [],
        "annotations": {_MARK: secrets.token_hex(16)},
    }
    return json.dumps(document, separators=(",", ":")).encode(), media_type
