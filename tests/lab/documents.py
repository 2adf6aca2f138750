"""Small documents that the tests of the specification start from."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from regscope.spec.media_types import DOCKER_CONFIG, DOCKER_LAYER, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
LAYER = {"mediaType": OCI_LAYER_GZIP, "size": 20, "digest": OTHER_DIGEST}
CONFIG = {"mediaType": OCI_CONFIG, "size": 10, "digest": DIGEST}


def encoded(document: Any) -> bytes:
    """`document` as JSON that no serialiser of the package would write: its very bytes must survive."""
    return json.dumps(document, indent=3, ensure_ascii=False).encode() + b"\n"


def oci_image(**fields: Any) -> dict[str, Any]:
    """An OCI image manifest that leaves its mediaType out."""
    return {"schemaVersion": 2, "config": CONFIG, "layers": [LAYER], **fields}


def docker_image(**fields: Any) -> dict[str, Any]:
    """A schema 2 manifest."""
    return {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {**CONFIG, "mediaType": DOCKER_CONFIG},
        "layers": [{**LAYER, "mediaType": DOCKER_LAYER}],
        **fields,
    }


def index(**fields: Any) -> dict[str, Any]:
    """An OCI index that leaves its mediaType out, of one child for linux/arm64/v8."""
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    child = {"mediaType": OCI_MANIFEST, "size": 30, "digest": DIGEST, "platform": platform}
    return {"schemaVersion": 2, "manifests": [child], **fields}


def schema1(*steps: Any, layers: int | None = None, **fields: Any) -> dict[str, Any]:
    """A schema 1 manifest; `steps` are its history, newest first, each a dict or the text itself."""
    texts = [step if isinstance(step, str) else json.dumps(step) for step in steps]
    return {
        "schemaVersion": 1,
        "name": "team/app",
        "tag": "1.0",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": DIGEST}] * (len(steps) if layers is None else layers),
        "history": [{"v1Compatibility": text} for text in texts],
        **fields,
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(DIGEST),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
