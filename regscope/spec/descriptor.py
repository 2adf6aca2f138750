"""Descriptors (OCI image-spec, descriptor.md): media type, digest and size of content that lives elsewhere."""

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


# Go writes `null` for an empty map or list; to a reader they are the same.
StringMap = Annotated[dict[str, str], BeforeValidator(_null_as_empty_map)]
Strings = Annotated[list[str], BeforeValidator(_null_as_empty_list)]
NullAsEmptyList = BeforeValidator(_null_as_empty_list)


class Descriptor(BaseModel):
    """What a manifest says of a blob or of another manifest. Sizes are bytes. Unknown fields survive."""

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
        """The manifest that an attestation is about; None for what is no attestation, or names no digest."""
        if not self.is_attestation:
            return None
        try:
            return Digest(self.annotations.get(REFERENCE_DIGEST, ""))
        except InvalidDigest:
            return None

    @property
    def is_artifact(self) -> bool:
        """Whether an entry of an index says that it is no image: by a type, as a reference, or for no platform.

        A Docker manifest list has no annotations: there, BuildKit's attestations show by their platform alone.
        """
        is_for_none = self.platform is not None and self.platform.os == "unknown"
        return bool(self.artifactType) or REFERENCE_TYPE in self.annotations or is_for_none

    @property
    def is_image(self) -> bool:
        """Whether an entry of an index is an image by its media type, and no artifact."""
        return self.mediaType in IMAGE_MANIFESTS and not self.is_artifact


class DockerConfigDescriptor(Descriptor):
    """A schema 2 manifest's `config`; the media type may be left out when writing one by hand."""

    mediaType: str = DOCKER_CONFIG

    @staticmethod
    def content_type() -> str:
        """Its usual media type."""
        return DOCKER_CONFIG


class DockerLayerDescriptor(Descriptor):
    """A schema 2 manifest's layer; the media type may be left out when writing one by hand."""

    mediaType: str = DOCKER_LAYER

    @staticmethod
    def content_types() -> list[str]:
        """Its usual media types."""
        return [DOCKER_LAYER, DOCKER_FOREIGN_LAYER]
