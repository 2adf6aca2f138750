"""What is pushed: blobs of all sizes, and an image."""

from __future__ import annotations

import io
import json
from typing import Any

from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST

LARGE = bytes(range(256)) * 20_000  # 5 MB: more than fits into one piece
CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


class Stream(io.RawIOBase):
    """Bytes that can be read only once."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)

    def readable(self) -> bool:
        return True


def put_image(client: DockerRegistryV2Client, repository: str = "app", tag: str = "1", **fields: Any) -> Digest:
    config = Blob(repository, fileobj=io.BytesIO(CONFIG), client=client).upload()
    layer = Blob(repository, fileobj=io.BytesIO(b"layer"), client=client).upload()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": OCI_LAYER, "digest": layer.digest, "size": layer.size}],
        **fields,
    }
    return ManifestRef(repository, tag, client).put(json.dumps(document).encode()).digest
