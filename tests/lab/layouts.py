"""Drawn and hand-made images in an OCI layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.lab.drawn_registries import Pushed


def write(folder: Path, images: Mapping[str, Pushed]) -> Path:
    """A layout that has these images under these names, `repository:tag`."""
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entries = []
    for name, image in images.items():
        _write(folder, image)
        descriptor = {"mediaType": image.media_type, "digest": image.digest, "size": len(image.raw)}
        entries.append({**descriptor, "annotations": {"io.containerd.image.name": name}})
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return folder


def _write(folder: Path, image: Pushed) -> None:
    for blob in (image.raw, *image.blobs):
        digest = Pushed(blob, "").digest
        (folder / "blobs" / "sha256" / digest.partition(":")[2]).write_bytes(blob)
    for child in image.children:
        _write(folder, child)
