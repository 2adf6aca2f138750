"""Descriptors (OCI image-spec, descriptor.md): media type, digest and size of content that is stored separately."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from regscope.errors import InvalidDigest
from regscope.spec.annotations import ATTESTATION_MANIFEST, REFERENCE_DIGEST, REFERENCE_TYPE
from regscope.spec.digest import Digest
from regscope.spec.media_types import DOCKER_CONFIG, DOCKER_FOREIGN_LAYER, DOCKER_LAYER, IMAGE_MANIFESTS
from regscope.spec.platform import Platform


def _null_as_empty_map(value: Any) -> Any:
    return {} if value is None else value


def _null_as_empty_list(value: Any) -> Any:
    return [] if value is None else value


# Go writes `null` for an empty map or list; both mean the same.
StringMap = Annotated[dict[str, str], BeforeValidator(_null_as_empty_map)]
Strings = Annotated[list[str], BeforeValidator(_null_as_empty_list)]
NullAsEmptyList = BeforeValidator(_null_as_empty_list)


class Descriptor(BaseModel):
    """The descriptor of a blob or a manifest. `size` is in bytes. Unknown fields are kept."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    mediaType: str
    size: Annotated[int, Field(ge=0, lt=2**63)]
    digest: Digest
    urls: Strings = Field(default_factory=list)
    annotations: StringMap = Field(default_factory=dict)
    data: str | None = None
    artifactType: str | None = None
    platform: Platform | None = None

    @property
    def is_attestation(self) -> bool:
        """Whether an entry of an index is an attestation (BuildKit, attestation-storage.md)."""
        return self.annotations.get(REFERENCE_TYPE) == ATTESTATION_MANIFEST

    @property
    def attested(self) -> Digest | None:
        """The digest of the manifest that an attestation is about; None for other entries, and without a digest."""
        if not self.is_attestation:
            return None
        try:
            return Digest(self.annotations.get(REFERENCE_DIGEST, ""))
        except InvalidDigest:
            return None

    @property
    def is_artifact(self) -> bool:
        """Whether an entry of an index is no image: it has an artifact type, a reference type or an unknown platform.

        A Docker manifest list has no annotations: there BuildKit's attestations are recognised by their platform only.
        """
        is_for_none = self.platform is not None and self.platform.os == "unknown"
        return bool(self.artifactType) or REFERENCE_TYPE in self.annotations or is_for_none

    @property
    def is_image(self) -> bool:
        """Whether an entry of an index has the media type of an image manifest, and is no artifact."""
        return self.mediaType in IMAGE_MANIFESTS and not self.is_artifact


class DockerConfigDescriptor(Descriptor):
    """The `config` of a schema 2 manifest; `mediaType` has a default."""

    mediaType: str = DOCKER_CONFIG

    @staticmethod
    def content_type() -> str:
        """The usual media type of a config."""
        return DOCKER_CONFIG


class DockerLayerDescriptor(Descriptor):
    """A layer of a schema 2 manifest; `mediaType` has a default."""

    mediaType: str = DOCKER_LAYER

    @staticmethod
    def content_types() -> list[str]:
        """The usual media types of a layer."""
        return [DOCKER_LAYER, DOCKER_FOREIGN_LAYER]
