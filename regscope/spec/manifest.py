"""Manifests of every kind, each with the very bytes it was read from (OCI image-spec, manifest.md, image-index.md).

`parse_manifest` is the way in. A model's `raw` is what was read, never a re-serialisation; only a manifest that was
built by hand, or changed, is serialised when its bytes are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from regscope.errors import ContentError, ContentMissing, InvalidManifest, UnSupportMediaType
from regscope.spec import media_types
from regscope.spec.descriptor import (
    Descriptor,
    DockerConfigDescriptor,
    DockerLayerDescriptor,
    NullAsEmptyList,
    StringMap,
)
from regscope.spec.digest import Digest
from regscope.spec.lenient_reading import first_fault
from regscope.spec.media_types import (
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    IMAGE_CONFIGS,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    is_filesystem_layer,
    names_manifest,
)
from regscope.spec.platform import LINUX_AMD64, Platform
from regscope.spec.raw_backed import RawBacked


class FileSystemLayer(BaseModel):
    """One `fsLayers` entry of a schema 1 manifest."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    blobSum: Digest


class Schema1History(BaseModel):
    """One `history` entry of a schema 1 manifest: a JSON document in a string."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    v1Compatibility: str


class JWS(BaseModel):
    """One signature of a schema 1 manifest (docs/spec/manifest-v2-1.md, Signed Manifests)."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    header: dict[str, Any] = Field(default_factory=dict)
    protected: str = ""
    signature: str = ""


class ManifestSchema1(RawBacked):
    """Docker image manifest, schema 1: layers newest first, the config folded into the history."""

    _not_in_raw = frozenset({"signatures"})  # their digest names it without them

    schemaVersion: Literal[1] = 1
    name: str = ""
    tag: str = ""
    architecture: str = ""
    fsLayers: Annotated[list[FileSystemLayer], NullAsEmptyList] = Field(default_factory=list)
    history: Annotated[list[Schema1History], NullAsEmptyList] = Field(default_factory=list)
    signatures: list[JWS] | None = None

    @staticmethod
    def content_type() -> str:
        """The media type of a signed one, which is the form that registries store."""
        return DOCKER_SCHEMA1_SIGNED

    @property
    def media_type(self) -> str:
        """The media type of this one."""
        return DOCKER_SCHEMA1_SIGNED if self.signatures else DOCKER_SCHEMA1


class ManifestSchema2(RawBacked):
    """Docker image manifest, version 2, schema 2."""

    schemaVersion: Literal[2] = 2
    mediaType: Literal["application/vnd.docker.distribution.manifest.v2+json"] = DOCKER_MANIFEST
    config: DockerConfigDescriptor
    layers: Annotated[list[DockerLayerDescriptor], NullAsEmptyList] = Field(default_factory=list)
    annotations: StringMap = Field(default_factory=dict)

    @staticmethod
    def content_type() -> str:
        """Its media type."""
        return DOCKER_MANIFEST

    @property
    def media_type(self) -> str:
        """Its media type."""
        return DOCKER_MANIFEST


class OCIManifestSchema1(RawBacked):
    """OCI image manifest; with `artifactType` or a config that is no image config, an artifact."""

    schemaVersion: Literal[2] = 2
    mediaType: Literal["application/vnd.oci.image.manifest.v1+json"] | None = OCI_MANIFEST
    artifactType: str | None = None
    config: Descriptor
    layers: Annotated[list[Descriptor], NullAsEmptyList] = Field(default_factory=list)
    subject: Descriptor | None = None
    annotations: StringMap = Field(default_factory=dict)

    @staticmethod
    def content_type() -> str:
        """Its media type."""
        return OCI_MANIFEST

    @property
    def media_type(self) -> str:
        """Its media type, also where the document leaves it out."""
        return OCI_MANIFEST


class _ListsManifests:
    """What an index names, told apart."""

    if TYPE_CHECKING:  # each index has its own, in the order in which it is written
        manifests: list[Descriptor]

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """The manifests that it names."""
        return tuple(entry for entry in self.manifests if names_manifest(entry.mediaType))

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What it names that is no manifest by its media type, such as the layers of BuildKit's older caches."""
        return tuple(entry for entry in self.manifests if not names_manifest(entry.mediaType))


class DockerManifestList(_ListsManifests, RawBacked):
    """Docker manifest list: one image for several platforms."""

    schemaVersion: Literal[2] = 2
    mediaType: Literal["application/vnd.docker.distribution.manifest.list.v2+json"] = DOCKER_MANIFEST_LIST
    manifests: Annotated[list[Descriptor], NullAsEmptyList] = Field(default_factory=list)
    annotations: StringMap = Field(default_factory=dict)

    @staticmethod
    def content_type() -> str:
        """Its media type."""
        return DOCKER_MANIFEST_LIST

    @property
    def media_type(self) -> str:
        """Its media type."""
        return DOCKER_MANIFEST_LIST


class OCIIndex(_ListsManifests, RawBacked):
    """OCI image index: manifests for several platforms, or the referrers of one subject."""

    schemaVersion: Literal[2] = 2
    mediaType: Literal["application/vnd.oci.image.index.v1+json"] | None = OCI_INDEX
    artifactType: str | None = None
    manifests: Annotated[list[Descriptor], NullAsEmptyList] = Field(default_factory=list)
    subject: Descriptor | None = None
    annotations: StringMap = Field(default_factory=dict)

    @staticmethod
    def content_type() -> str:
        """Its media type."""
        return OCI_INDEX

    @property
    def media_type(self) -> str:
        """Its media type, also where the document leaves it out."""
        return OCI_INDEX


_ATTESTATION = "vnd.docker.reference.type"

ImageManifest: TypeAlias = ManifestSchema2 | OCIManifestSchema1
Index: TypeAlias = DockerManifestList | OCIIndex
Manifest: TypeAlias = ManifestSchema1 | ImageManifest | Index

MODELS: dict[str, type[Manifest]] = {
    media_types.DOCKER_SCHEMA1: ManifestSchema1,
    media_types.DOCKER_SCHEMA1_SIGNED: ManifestSchema1,
    DOCKER_MANIFEST: ManifestSchema2,
    OCI_MANIFEST: OCIManifestSchema1,
    DOCKER_MANIFEST_LIST: DockerManifestList,
    OCI_INDEX: OCIIndex,
}

_PARTS = {"manifests", "config", "layers", "fsLayers"}


def artifact_type(manifest: Manifest) -> str | None:
    """What an artifact is; None for an image, and for an index that does not say.

    BuildKit's attestations have an image's config and no file system.
    """
    stated = manifest.artifactType if isinstance(manifest, OCIManifestSchema1 | OCIIndex) else None
    if stated or not isinstance(manifest, ImageManifest):
        return stated
    if manifest.config.mediaType not in IMAGE_CONFIGS:
        if manifest.config.mediaType == OCI_EMPTY and manifest.layers and manifest.layers[0].mediaType:
            return manifest.layers[0].mediaType
        return manifest.config.mediaType
    types = [layer.mediaType for layer in manifest.layers]
    if all(types) and types and not any(is_filesystem_layer(kind) for kind in types):
        return types[0]
    return None


DEEPEST = 8
"""How far indexes within indexes are followed; nobody has use for more than two."""


def too_deep(name: str) -> InvalidManifest:
    """The error for indexes within indexes beyond that; `name` is what the first of them is called."""
    return InvalidManifest(
        f"{name} is an index of indexes, more than {DEEPEST} deep",
        next_step="Name one of its images by digest, or push an index that lists the images directly.",
    )


def child_for(index: Index, platform: Platform, name: str) -> Descriptor:
    """The child of an index that fits `platform` best; of several for the same one the first.

    Raises:
        ContentMissing: there is none; `name` is what the index is called.
    """
    fitting = best_children(index.manifests, platform)
    if not fitting:
        raise ContentMissing(
            f"{name} has no image for {platform}", next_step=f"It is there for: {platforms_of(index)}."
        )
    return fitting[0]


def best_children(children: Iterable[Descriptor], platform: Platform) -> list[Descriptor]:
    """Those that fit `platform` best (see `Platform.distance`): several where they are for the same one.

    Where none fits, an image that an index names without a platform is for linux/amd64, as crane and skopeo have it.
    """
    listed = list(children)
    distances = [(platform.distance(child.platform) if child.platform else None, child) for child in listed]
    nearest = min((distance for distance, _ in distances if distance is not None), default=None)
    if nearest is None and platform.covers(LINUX_AMD64):
        return [child for child in listed if child.platform is None and _may_be_image(child)]
    return [child for distance, child in distances if distance is not None and distance == nearest]


def _may_be_image(child: Descriptor) -> bool:
    is_artifact = child.artifactType or _ATTESTATION in child.annotations
    return child.mediaType in (OCI_MANIFEST, DOCKER_MANIFEST) and not is_artifact


def platforms_of(index: Index) -> str:
    """The platforms that an index names, for a message."""
    return ", ".join(str(child.platform) for child in index.manifests if child.platform) or "none"


def parse_manifest(raw: bytes, media_type: str | None = None) -> Manifest:
    """The manifest in `raw`, of the kind that its own `mediaType` says, else its fields and the `Content-Type` header.

    Args:
        raw: the document's bytes; they are kept as `.raw`.
        media_type: the header's value, parameters and all; None or a generic type leaves it to the body.

    Raises:
        InvalidManifest: not JSON, not an object, two kinds in one document, a header that contradicts a body without
            `mediaType`, or a field that breaks the specification and that the image cannot do without.
        UnSupportMediaType: the body names a media type that is no manifest.
    """
    document = json_object(raw, "a manifest", InvalidManifest)
    kind = _kind(document, media_types.without_parameters(media_type))
    try:
        return MODELS[kind].from_document(document, raw)
    except ValidationError as error:
        raise InvalidManifest(
            f"not a valid {kind}: {first_fault(error)}",
            next_step="Push the image again with a current builder.",
        ) from None


def json_object(raw: bytes, what: str, invalid: type[ContentError]) -> dict[str, Any]:
    """The JSON object in `raw`, or an `invalid` that says what `what` is instead."""
    try:
        document = from_json(raw)
    except ValueError as error:
        raise invalid(f"{what} that is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"{what} must be a JSON object, and this is a {type(document).__name__}")
    return document


def _kind(document: dict[str, Any], header: str) -> str:
    # One document that reads as an index here and as an image there is how content is smuggled (CVE-2021-41190).
    body = document.get("mediaType")
    parts = _parts(document)
    is_index = "manifests" in parts or (isinstance(body, str) and body in media_types.INDEXES)
    if is_index and parts - {"manifests"}:
        raise InvalidManifest("a manifest that is an index and an image at once")
    if "fsLayers" in parts and parts - {"fsLayers"}:
        raise InvalidManifest("a manifest that is of schema 1 and of schema 2 at once")
    if body is not None:  # the digest vouches for it, and nothing for the header: some registries have one for all
        if not isinstance(body, str) or body not in MODELS:
            raise UnSupportMediaType(f"{str(body)[:120]!r} is not a manifest that regscope reads")
        return body
    shape = _shape(document, parts)
    if header in MODELS and _family(header) is not _family(shape):
        raise InvalidManifest(
            f"the registry calls it {header}, and the manifest reads as {shape}",
            next_step="It does not say itself what it is, so it is not read as either: push it again with a mediaType.",
        )
    return header if header in MODELS and MODELS[header] is MODELS[shape] else shape


def _parts(document: dict[str, Any]) -> set[str]:
    """What of an image or an index the document has; a null counts only where there is nothing else."""
    return {name for name in _PARTS if document.get(name) is not None} or _PARTS & document.keys()


def _family(media_type: str) -> frozenset[str]:
    families = (media_types.SCHEMA1, media_types.IMAGE_MANIFESTS, media_types.INDEXES)
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
