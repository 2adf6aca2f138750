"""The names of layer types in Docker's manifests and in OCI's."""

from __future__ import annotations

from regscope.errors import InvalidInput
from regscope.spec.media_types import (
    DOCKER_FOREIGN_LAYER,
    DOCKER_LAYER,
    DOCKER_LAYER_TAR,
    DOCKER_MANIFEST,
    OCI_LAYER,
    OCI_LAYER_GZIP,
)

_AS_DOCKER = {OCI_LAYER: DOCKER_LAYER_TAR, OCI_LAYER_GZIP: DOCKER_LAYER}
_AS_OCI = {DOCKER_LAYER_TAR: OCI_LAYER, DOCKER_LAYER: OCI_LAYER_GZIP, DOCKER_FOREIGN_LAYER: OCI_LAYER_GZIP}


def layer_type(kind: str, manifest: str) -> str:
    """The media type of a layer of type `kind` in a manifest of the media type `manifest`.

    Raises:
        InvalidInput: there is none, as for zstd in Docker's manifests.
    """
    translated = (_AS_DOCKER if manifest == DOCKER_MANIFEST else _AS_OCI).get(kind, kind)
    is_docker = translated.startswith("application/vnd.docker.")
    if is_docker != (manifest == DOCKER_MANIFEST):
        raise InvalidInput(f"a layer of type {kind} is not possible in {manifest}")
    return translated
