"""Media types of Docker and OCI content (OCI image-spec, media-types.md), and the kind of content of each."""

from __future__ import annotations

import re
from typing import Final

DOCKER_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_TAR: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"

SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
IMAGE_MANIFESTS = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
INDEXES = frozenset({DOCKER_MANIFEST_LIST, OCI_INDEX})
MANIFESTS = SCHEMA1 | IMAGE_MANIFESTS | INDEXES
DOCKER_MANIFESTS = SCHEMA1 | {DOCKER_MANIFEST, DOCKER_MANIFEST_LIST}
IMAGE_CONFIGS = frozenset({DOCKER_CONFIG, OCI_CONFIG})

# All types in one header: a registry that is not offered an index answers with one of its children instead.
ACCEPT_MANIFESTS = ", ".join([OCI_INDEX, DOCKER_MANIFEST_LIST, OCI_MANIFEST, DOCKER_MANIFEST, *sorted(SCHEMA1)])

_GENERIC = {"", "application/json", "application/octet-stream", "text/plain"}
_LIKE_A_MANIFEST = re.compile(r"\.(manifest|index)\b")  # such as the artifact manifest that ORAS once used

_FILESYSTEM_LAYERS = (
    "application/vnd.docker.image.rootfs.",
    "application/vnd.oci.image.layer.",
)


def without_parameters(media_type: str | None) -> str:
    """The media type in a `Content-Type` header, in lower case and without parameters; empty without a header."""
    return (media_type or "").partition(";")[0].strip().lower()


def names_manifest(media_type: str) -> bool:
    """Whether an entry of an index with this media type is a manifest; generic types count as manifests.

    The other entries are blobs: BuildKit's older caches are indexes of layers (`--cache-to
    type=registry,image-manifest=false`).
    """
    return media_type in MANIFESTS or media_type in _GENERIC or _LIKE_A_MANIFEST.search(media_type) is not None


def is_filesystem_layer(media_type: str) -> bool:
    """Whether a layer of this media type is a tar of files, and not the payload of an artifact."""
    return media_type.startswith(_FILESYSTEM_LAYERS)


def is_foreign_layer(media_type: str) -> bool:
    """Whether layers of this media type are non-distributable: the registry need not store them."""
    return ".foreign." in media_type or ".nondistributable." in media_type
