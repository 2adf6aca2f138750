"""The kind of manifest that a JSON document is (OCI image-spec, manifest.md and image-index.md, `mediaType`)."""

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
    """The media type of a manifest: its own `mediaType`; without one, its fields and the header decide.

    Raises:
        InvalidManifest, UnSupportMediaType: see `parse_manifest`.
    """
    # A document that one client reads as an index and another as an image can hide content (CVE-2021-41190).
    body = document.get("mediaType")
    parts = _parts(document)
    is_index = "manifests" in parts or (isinstance(body, str) and body in INDEXES)
    if is_index and parts - {"manifests"}:
        raise InvalidManifest("the manifest has the fields of an index and of an image")
    if "fsLayers" in parts and parts - {"fsLayers"}:
        raise InvalidManifest("the manifest has the fields of schema 1 and of schema 2")
    if body is not None:  # the digest covers it, but not the header: some registries send one type for all manifests
        if not isinstance(body, str) or body not in MANIFESTS:
            raise UnSupportMediaType(f"{str(body)[:120]!r} is not the media type of a manifest that regscope reads")
        return body
    shape = _shape(document, parts)
    if header in MANIFESTS and _family(header) is not _family(shape):
        raise InvalidManifest(
            f"the registry states the media type {header}, but the manifest has the fields of {shape}",
            next_step="Push the manifest again with a mediaType field, so that its kind is certain.",
        )
    return shape


def _parts(document: dict[str, Any]) -> set[str]:
    """The fields of an image or an index that the document has; nulls count only where all of them are null."""
    return {name for name in _PARTS if document.get(name) is not None} or _PARTS & document.keys()


def _family(media_type: str) -> frozenset[str]:
    families = (SCHEMA1, IMAGE_MANIFESTS, INDEXES)
    return next(family for family in families if media_type in family)


def _shape(document: dict[str, Any], parts: set[str]) -> str:
    """The media type of a document without `mediaType`, by its fields: umoci, for one, leaves `mediaType` out."""
    if "manifests" in parts:
        return OCI_INDEX
    if "config" in parts or "layers" in parts:
        return OCI_MANIFEST
    if "fsLayers" in parts or document.get("schemaVersion") == 1:
        return DOCKER_SCHEMA1_SIGNED if document.get("signatures") else DOCKER_SCHEMA1
    raise InvalidManifest("the document is neither an image manifest nor an index: no config, layers or manifests")
