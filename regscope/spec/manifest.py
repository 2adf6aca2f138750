"""Manifests of every kind, each with the exact bytes it was read from (OCI image-spec, manifest.md, image-index.md).

`parse_manifest` reads one. The `raw` of an unchanged model is the bytes that were read; a model that was built in
Python, or changed, is serialised when `raw` is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from regscope.errors import ContentError, InvalidManifest
from regscope.spec.descriptor import (
    Descriptor,
    DockerConfigDescriptor,
    DockerLayerDescriptor,
    NullAsEmptyList,
    StringMap,
)
from regscope.spec.digest import Digest
from regscope.spec.lenient_reading import first_fault
from regscope.spec.manifest_kind import manifest_kind
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
    is_foreign_layer,
    names_manifest,
    without_parameters,
)
from regscope.spec.raw_backed import RawBacked


class FileSystemLayer(BaseModel):
    """One `fsLayers` entry of a schema 1 manifest."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    blobSum: Digest

    @property
    def digest(self) -> Digest:
        """`blobSum`, by the name that it has in descriptors; schema 1 states neither sizes nor media types."""
        return self.blobSum


class Schema1History(BaseModel):
    """One `history` entry of a schema 1 manifest: a JSON document in a string."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    v1Compatibility: str


_Blob = TypeVar("_Blob", Descriptor, FileSystemLayer)


def _each_once(blobs: Iterable[_Blob]) -> tuple[_Blob, ...]:
    found: dict[Digest, _Blob] = {}
    for blob in blobs:
        found.setdefault(blob.digest, blob)
    return tuple(found.values())


class _RefersToNothing:
    """Docker's kinds have neither `subject` nor `artifactType`; such a field in a document has no meaning there."""

    subject: ClassVar[None] = None
    artifactType: ClassVar[str | None] = None


class _HasOneType:
    """A kind of manifest that is of one media type."""

    _one_type: ClassVar[str]

    @classmethod
    def content_type(cls) -> str:
        """Its media type."""
        return cls._one_type

    @property
    def media_type(self) -> str:
        """Its media type, also where the document leaves it out."""
        return self._one_type


class _NamesBlobs:
    """The properties of image manifests: their config and layers."""

    is_index: ClassVar[Literal[False]] = False
    children: ClassVar[tuple[Descriptor, ...]] = ()

    if TYPE_CHECKING:  # each kind has its own, in the order in which it is written
        artifactType: str | None
        config: Descriptor
        layers: Sequence[Descriptor]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The config and the layers, lowest first."""
        return (self.config, *self.layers)

    @property
    def stored_blobs(self) -> tuple[Descriptor, ...]:
        """`blobs`, each once, without non-distributable layers (image-spec, layer.md): they may be stored elsewhere."""
        return _each_once((self.config, *(layer for layer in self.layers if not is_foreign_layer(layer.mediaType))))

    @property
    def artifact_type(self) -> str | None:
        """The type of an artifact, by its `artifactType`, its config or its layers; None for an image.

        BuildKit's attestations have an image config, and are recognised by layers that are no file system.
        """
        if self.artifactType:
            return self.artifactType
        if self.config.mediaType not in IMAGE_CONFIGS:
            if self.config.mediaType == OCI_EMPTY and self.layers and self.layers[0].mediaType:
                return self.layers[0].mediaType
            return self.config.mediaType
        types = [layer.mediaType for layer in self.layers]
        if all(types) and types and not any(is_filesystem_layer(kind) for kind in types):
            return types[0]
        return None


class _ListsManifests:
    """The properties of indexes: the manifests that they list."""

    is_index: ClassVar[Literal[True]] = True

    if TYPE_CHECKING:  # each kind has its own, in the order in which it is written
        artifactType: str | None
        manifests: list[Descriptor]

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """The descriptors of the manifests in the index."""
        return tuple(entry for entry in self.manifests if names_manifest(entry.mediaType))

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The entries whose media type is not a manifest's, such as the layers in BuildKit's older caches."""
        return tuple(entry for entry in self.manifests if not names_manifest(entry.mediaType))

    @property
    def stored_blobs(self) -> tuple[Descriptor, ...]:
        """`blobs`, each once."""
        return _each_once(self.blobs)

    @property
    def artifact_type(self) -> str | None:
        """The index's own `artifactType`; None where it has none."""
        return self.artifactType


class JWS(BaseModel):
    """One signature of a schema 1 manifest (docs/spec/manifest-v2-1.md, Signed Manifests)."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    header: dict[str, Any] = Field(default_factory=dict)
    protected: str = ""
    signature: str = ""


class ManifestSchema1(_RefersToNothing, RawBacked):
    """Docker image manifest, schema 1: layers newest first, the config contained in the history."""

    _not_in_raw = frozenset({"signatures"})  # the digest of a signed manifest excludes its signatures

    is_index: ClassVar[Literal[False]] = False
    children: ClassVar[tuple[Descriptor, ...]] = ()
    artifact_type: ClassVar[None] = None

    schemaVersion: Literal[1] = 1
    name: str = ""
    tag: str = ""
    architecture: str = ""
    fsLayers: Annotated[list[FileSystemLayer], NullAsEmptyList] = Field(default_factory=list)
    history: Annotated[list[Schema1History], NullAsEmptyList] = Field(default_factory=list)
    signatures: list[JWS] | None = None

    @staticmethod
    def content_type() -> str:
        """The media type of a signed schema 1 manifest, which is the form that registries store."""
        return DOCKER_SCHEMA1_SIGNED

    @property
    def media_type(self) -> str:
        """The media type of this manifest, signed or not."""
        return DOCKER_SCHEMA1_SIGNED if self.signatures else DOCKER_SCHEMA1

    @property
    def blobs(self) -> tuple[FileSystemLayer, ...]:
        """The layers, newest first."""
        return tuple(self.fsLayers)

    @property
    def stored_blobs(self) -> tuple[FileSystemLayer, ...]:
        """`blobs`, each once."""
        return _each_once(self.fsLayers)


class ManifestSchema2(_RefersToNothing, _NamesBlobs, _HasOneType, RawBacked):
    """Docker image manifest, version 2, schema 2."""

    _one_type: ClassVar[str] = DOCKER_MANIFEST

    schemaVersion: Literal[2] = 2
    mediaType: Literal["application/vnd.docker.distribution.manifest.v2+json"] = DOCKER_MANIFEST
    config: DockerConfigDescriptor
    layers: Annotated[list[DockerLayerDescriptor], NullAsEmptyList] = Field(default_factory=list)
    annotations: StringMap = Field(default_factory=dict)


class OCIManifestSchema1(_NamesBlobs, _HasOneType, RawBacked):
    """OCI image manifest; an artifact where it has an `artifactType`, or a config that is no image config."""

    _one_type: ClassVar[str] = OCI_MANIFEST

    schemaVersion: Literal[2] = 2
    mediaType: Literal["application/vnd.oci.image.manifest.v1+json"] | None = OCI_MANIFEST
    artifactType: str | None = None
    config: Descriptor
    layers: Annotated[list[Descriptor], NullAsEmptyList] = Field(default_factory=list)
    subject: Descriptor | None = None
    annotations: StringMap = Field(default_factory=dict)


class DockerManifestList(_RefersToNothing, _ListsManifests, _HasOneType, RawBacked):
    """Docker manifest list: one image for several platforms."""

    _one_type: ClassVar[str] = DOCKER_MANIFEST_LIST

    schemaVersion: Literal[2] = 2
    mediaType: Literal["application/vnd.docker.distribution.manifest.list.v2+json"] = DOCKER_MANIFEST_LIST
    manifests: Annotated[list[Descriptor], NullAsEmptyList] = Field(default_factory=list)
    annotations: StringMap = Field(default_factory=dict)


class OCIIndex(_ListsManifests, _HasOneType, RawBacked):
    """OCI image index: manifests for several platforms, or the referrers of one subject."""

    _one_type: ClassVar[str] = OCI_INDEX

    schemaVersion: Literal[2] = 2
    mediaType: Literal["application/vnd.oci.image.index.v1+json"] | None = OCI_INDEX
    artifactType: str | None = None
    manifests: Annotated[list[Descriptor], NullAsEmptyList] = Field(default_factory=list)
    subject: Descriptor | None = None
    annotations: StringMap = Field(default_factory=dict)


ImageManifest: TypeAlias = ManifestSchema2 | OCIManifestSchema1
Index: TypeAlias = DockerManifestList | OCIIndex
Manifest: TypeAlias = ManifestSchema1 | ImageManifest | Index

MODELS: dict[str, type[Manifest]] = {
    DOCKER_SCHEMA1: ManifestSchema1,
    DOCKER_SCHEMA1_SIGNED: ManifestSchema1,
    DOCKER_MANIFEST: ManifestSchema2,
    OCI_MANIFEST: OCIManifestSchema1,
    DOCKER_MANIFEST_LIST: DockerManifestList,
    OCI_INDEX: OCIIndex,
}


def parse_manifest(raw: bytes, media_type: str | None = None) -> Manifest:
    """The manifest in `raw`, of the kind that its `mediaType` states; without one, its fields and the header decide.

    Args:
        raw: the document's bytes; they are kept as `.raw`.
        media_type: the value of the `Content-Type` header, with its parameters; None and generic types are ignored.

    Raises:
        InvalidManifest: `raw` is not a JSON object, has the fields of two kinds, has no `mediaType` and contradicts the
            header, or breaks the specification in a field that is needed.
        UnSupportMediaType: the document states a media type that is not a manifest's.
    """
    document = json_object(raw, "a manifest", InvalidManifest)
    kind = manifest_kind(document, without_parameters(media_type))
    try:
        return MODELS[kind].from_document(document, raw)
    except ValidationError as error:
        raise InvalidManifest(
            f"not a valid {kind}: {first_fault(error)}",
            next_step="Push the image again with a current builder.",
        ) from None


def json_object(raw: bytes, what: str, invalid: type[ContentError]) -> dict[str, Any]:
    """The JSON object in `raw`; `invalid`, an error class, is raised for `what` where it is none."""
    try:
        document = from_json(raw)
    except ValueError as error:
        raise invalid(f"the content of {what} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"{what} must be a JSON object, not a {type(document).__name__}")
    return document
