"""The names of the older client moby-distribution: import `regscope.compat.moby` in place of `moby_distribution`.

`regscope` itself exports the same objects. `regscope/manual/older-client.md` lists what is the same and what differs.
"""

from __future__ import annotations

from regscope.compat.moby.registry.client import DockerRegistryV2Client, default_client, set_default_client
from regscope.compat.moby.registry.resources.blobs import Blob
from regscope.compat.moby.registry.resources.image import ImageRef, LayerRef
from regscope.compat.moby.registry.resources.manifests import ManifestRef
from regscope.compat.moby.registry.resources.tags import Tags
from regscope.compat.moby.spec.endpoint import OFFICIAL_ENDPOINT, APIEndpoint
from regscope.compat.moby.spec.image_json import ImageJSON
from regscope.compat.moby.spec.manifest import ManifestSchema1, ManifestSchema2, OCIManifestSchema1

__all__ = [
    "OFFICIAL_ENDPOINT",
    "APIEndpoint",
    "Blob",
    "DockerRegistryV2Client",
    "ImageJSON",
    "ImageRef",
    "LayerRef",
    "ManifestRef",
    "ManifestSchema1",
    "ManifestSchema2",
    "OCIManifestSchema1",
    "Tags",
    "default_client",
    "set_default_client",
]
