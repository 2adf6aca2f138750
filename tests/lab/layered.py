"""Images of given layers as others keep them: as a layout, as what was scanned of it, as `docker save` writes them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import regscope as rs
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_LAYER, OCI_MANIFEST
from regscope.stores.layout_writer import LayoutWriter
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, digest
from tests.layers.plain_reader import rows

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
    snap = rs.scan_files(rs.scan(store, progress=False), store, progress=False)
    assert not len(snap.problems)
    return snap


def tables(images: Mapping[str, Sequence[bytes]]) -> Snapshot:
    """The same without a layout: layers are said to be compressed to half their size."""
    found: dict[str, dict[Any, tuple[Any, ...]]] = defaultdict(dict)
    for name, layers in images.items():
        repository, _, tag = name.partition(":")
        image = digest(f"image {name}")
        found["manifests"][image] = (
            image, OCI_MANIFEST, "image", 1, None, None, None, "linux", "amd64", None, NOW, len(layers), 1
        )  # fmt: skip
        found["placements"][image] = (repository, image, "tag", None, False, None)
        found["tags"][name] = (repository, tag, image, None, None, None)
        for position, tar in enumerate(layers):
            layer = Digest.of(tar)
            made_by = f"/bin/sh -c step {position}"
            found["layers"][image, position] = (
                image, position, layer, layer, None, OCI_LAYER, len(tar) // 2, made_by
            )  # fmt: skip
            found["blobs"][layer] = (layer, "layer", len(tar) // 2, OCI_LAYER, False)
            files = rows(layer, tar)
            found["unpacked"][layer] = (layer, layer, "gzip", len(tar) // 2, len(tar), len(files))
            found["files"] |= {(layer, number): row for number, row in enumerate(files)}
    written = {table: list(rows.values()) for table, rows in found.items()}
    return Snapshot.from_rows(written, location="layers", taken_at=NOW, sees_untagged=True)


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
