"""Docker-archives written by hand, in the old form and the new."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regscope.stores.layout_writer import tar_of

LAYERS = (tar_of({"etc/base": b"base" * 100}), tar_of({"app": b"app" * 100}))

Member = bytes | tarfile.TarInfo


def digest_of(content: bytes) -> str:
    """The hexadecimal digits of a sha256 digest."""
    return hashlib.sha256(content).hexdigest()


def config_of(*layers: bytes, **fields: Any) -> bytes:
    """An image config for uncompressed layers."""
    diff_ids = [f"sha256:{digest_of(layer)}" for layer in layers]
    document = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, **fields}
    return json.dumps(document).encode()


def link(target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A link to put under a name."""
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def write(path: Path, members: Mapping[str, Member], images: object = None) -> Path:
    """A tar of `members`, and of a `manifest.json` that lists `images`."""
    everything = dict(members)
    if images is not None:
        everything["manifest.json"] = json.dumps(images).encode()
    with tarfile.open(path, "w") as archive:
        for name, member in everything.items():
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo()
            info.name = name
            if isinstance(member, bytes):
                info.size = len(member)
                archive.addfile(info, io.BytesIO(member))
            else:
                archive.addfile(info)
    return path


def image(config: str, layers: Sequence[str], *names: str) -> dict[str, Any]:
    """An entry of `manifest.json`."""
    return {"Config": config, "RepoTags": list(names) or None, "Layers": list(layers)}


def old_form(path: Path) -> Path:
    """As docker before 25 saved two images that share a layer: the second has a link to it."""
    first, second = config_of(LAYERS[0]), config_of(*LAYERS)
    names = [f"{digest_of(config)}.json" for config in (first, second)]
    members: dict[str, Member] = {
        "aa/VERSION": b"1.0",
        "aa/layer.tar": LAYERS[0],
        "bb/layer.tar": link("../aa/layer.tar"),
        "cc/layer.tar": LAYERS[1],
        names[0]: first,
        names[1]: second,
        "repositories": b'{"base": {"1": "aa"}}',
    }
    listed = [
        image(names[0], ["aa/layer.tar"], "base:1"),
        image(names[1], ["bb/layer.tar", "cc/layer.tar"], "docker.io/library/app:2", "docker.io/team/app:2"),
    ]
    return write(path, members, listed)


def new_form(path: Path) -> Path:
    """As docker since 25 saves: an OCI layout with a `manifest.json` beside it."""
    config = config_of(*LAYERS)
    blobs = {f"blobs/sha256/{digest_of(content)}": content for content in (config, *LAYERS)}
    index = {"schemaVersion": 2, "manifests": []}
    members: dict[str, Member] = {
        "blobs": _folder(),
        "blobs/sha256": _folder(),
        **blobs,
        "index.json": json.dumps(index).encode(),
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
    }
    names = list(blobs)
    return write(path, members, [image(names[0], names[1:], "app:2", "localhost:5000/app:2")])


def _folder() -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info
