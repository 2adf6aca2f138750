"""Which kind of manifest a JSON document is (OCI image-spec, manifest.md and image-index.md, `mediaType`)."""

from __future__ import annotations

from typing import Any

from regscope.errors import InvalidManifest, UnSupportMediaType
from regscope.spec.media_types import (
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    IMAGE_MANIFESTS,
    INDEXES,
    MANIFESTS,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA1,
)

_PARTS = {"manifests", "config", "layers", "fsLayers"}


def manifest_kind(document: dict[str, Any], header: str) -> str:
    """The media type of a manifest: what its own `mediaType` says, else its fields and the header.

    Raises:
        InvalidManifest, UnSupportMediaType: see `parse_manifest`.
    """
    # One document that reads as an index here and as an image there is how content is smuggled (CVE-2021-41190).
    body = document.get("mediaType")
    parts = _parts(document)
    is_index = "manifests" in parts or (isinstance(body, str) and body in INDEXES)
    if is_index and parts - {"manifests"}:
        raise InvalidManifest("a manifest that is an index and an image at once")
    if "fsLayers" in parts and parts - {"fsLayers"}:
        raise InvalidManifest("a manifest that is of schema 1 and of schema 2 at once")
    if body is not None:  # the digest vouches for it, and nothing for the header: some registries have one for all
        if not isinstance(body, str) or body not in MANIFESTS:
            raise UnSupportMediaType(f"{str(body)[:120]!r} is not a manifest that regscope reads")
        return body
    shape = _shape(document, parts)
    if header in MANIFESTS and _family(header) is not _family(shape):
        raise InvalidManifest(
            f"the registry calls it {header}, and the manifest reads as {shape}",
            next_step="It does not say itself what it is, so it is not read as either: push it again with a mediaType.",
        )
    return shape


def _parts(document: dict[str, Any]) -> set[str]:
    """What of an image or an index the document has; a null counts only where there is nothing else."""
    return {name for name in _PARTS if document.get(name) is not None} or _PARTS & document.keys()


def _family(media_type: str) -> frozenset[str]:
    families = (SCHEMA1, IMAGE_MANIFESTS, INDEXES)
    return next(family for family in families if media_type in family)


def _shape(document: dict[str, Any], parts: set[str]) -> str:
    """The kind of a document that does not name it: umoci, for one, leaves `mediaType` out."""
    if "manifests" in parts:
        return OCI_INDEX
    if "config" in parts or "layers" in parts:
        return OCI_MANIFEST
    if "fsLayers" in parts or document.get("schemaVersion") == 1:
        return DOCKER_SCHEMA1_SIGNED if document.get("signatures") else DOCKER_SCHEMA1
    raise InvalidManifest("neither an image manifest nor an index: it has no config, layers or manifests")
