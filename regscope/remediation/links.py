"""What a manifest leads to, read from its bytes."""

from __future__ import annotations

from typing import NamedTuple

from regscope.registry.manifests import RawManifest
from regscope.spec.digest import Digest
from regscope.spec.manifest import DockerManifestList, ManifestSchema1, OCIIndex, OCIManifestSchema1
from regscope.spec.media_types import is_foreign_layer


class Links(NamedTuple):
    """Attributes:
    blobs: config and layers that the store keeps, and what an index names that is no manifest.
    children: of an index.
    subject: what it refers to.
    """

    blobs: tuple[Digest, ...]
    children: tuple[Digest, ...]
    subject: Digest | None


def links_of(manifest: RawManifest) -> Links:
    """What it names.

    Raises:
        InvalidManifest: it cannot be understood, and so might name anything.
    """
    read = manifest.parse()
    subject = read.subject.digest if isinstance(read, OCIManifestSchema1 | OCIIndex) and read.subject else None
    if isinstance(read, OCIIndex | DockerManifestList):
        children = tuple(child.digest for child in read.children)
        return Links(tuple(dict.fromkeys(blob.digest for blob in read.blobs)), children, subject)
    if isinstance(read, ManifestSchema1):
        return Links(tuple(layer.blobSum for layer in read.fsLayers), (), None)
    stored = (layer.digest for layer in read.layers if not is_foreign_layer(layer.mediaType))
    return Links(tuple(dict.fromkeys((read.config.digest, *stored))), (), subject)
