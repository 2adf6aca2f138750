"""Manifests and their descriptors."""

from __future__ import annotations

from regscope.spec.descriptor import Descriptor, DockerConfigDescriptor, DockerLayerDescriptor
from regscope.spec.manifest import (
    JWS,
    FileSystemLayer,
    ManifestSchema1,
    ManifestSchema2,
    OCIManifestSchema1,
    Schema1History,
)
from regscope.spec.media_types import OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP
from regscope.spec.platform import Platform

DockerManifestConfigDescriptor = DockerConfigDescriptor
DockerManifestLayerDescriptor = DockerLayerDescriptor
ManifestDescriptor = Descriptor
PlatformSpec = Platform

__all__ = [
    "JWS",
    "DockerManifestConfigDescriptor",
    "DockerManifestLayerDescriptor",
    "FileSystemLayer",
    "ManifestDescriptor",
    "ManifestSchema1",
    "ManifestSchema2",
    "OCIManifestConfigDescriptor",
    "OCIManifestLayerDescriptor",
    "OCIManifestSchema1",
    "PlatformSpec",
    "Schema1History",
]


class OCIManifestConfigDescriptor(Descriptor):
    """The `config` of an OCI image manifest."""

    @staticmethod
    def content_type() -> str:
        """The usual media type of a config."""
        return OCI_CONFIG


class OCIManifestLayerDescriptor(Descriptor):
    """A layer of an OCI image manifest."""

    @staticmethod
    def content_types() -> list[str]:
        """The usual media types of a layer."""
        return [OCI_LAYER, OCI_LAYER_GZIP]
