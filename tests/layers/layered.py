"""Images of given layers as others keep them: as a layout, as what was scanned of it, as `docker save` writes them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import regscope as rs
from regscope.stores.layout_writer import LayoutWriter
from regscope.tables import Snapshot

CREATED = "2024-01-01T00:00:00Z"


def named(images: Mapping[str, Sequence[bytes]]) -> dict[str, str]:
    """What the images are called in a layout."""
    return {name: f"image:{number}" for number, name in enumerate(images)}


def write(folder: Path, images: Mapping[str, Sequence[bytes]]) -> None:
    """A layout of images of these layers; the layer `n` of the image was made by `RUN step n`."""
    names = named(images)
    with LayoutWriter(folder) as writer:
        for image, layers in images.items():
            made = [writer.layer(layer, f"/bin/sh -c step {number}") for number, layer in enumerate(layers)]
            writer.tag(names[image], writer.image(made, created=CREATED))


def read(folder: Path) -> Snapshot:
    """What a layout holds, to the last file."""
    store = rs.open(f"oci:{folder}")
    snap = rs.scan_files(store, rs.scan(store, progress=False), progress=False)
    assert not len(snap.problems)
    return snap


def save(path: Path, layers: Sequence[bytes]) -> None:
    """An archive as `docker save` writes it."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": CREATED,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
        "history": [{"created": CREATED, "created_by": f"step {number}"} for number in range(len(layers))],
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["image:1"], "Layers": names}]
    files = {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as archive:
        for name, content in {**dict(zip(names, layers, strict=True)), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
