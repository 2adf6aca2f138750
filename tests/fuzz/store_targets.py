"""Where images are kept as files: layouts and archives."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from regscope.spec.annotations import REF_NAME
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.docker_archive import DockerArchiveStore
from regscope.stores.layout_files import INDEX, MARKER, kind_of_archive
from regscope.stores.layout_store import blob_path
from regscope.stores.oci_archive import OCIArchiveStore
from regscope.stores.oci_layout import OCILayoutStore
from tests.fuzz.json_mutation import json_changed
from tests.fuzz.tar_mutation import tar_changed
from tests.fuzz.target import Target, each_of
from tests.lab.documents import DIGEST, oci_image
from tests.lab.tars import END, entry, header

_LAYER = entry("a", b"hello") + END
_CONFIG = json.dumps({
    "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [Digest.of(_LAYER)]},
}).encode()  # fmt: skip
_PARTS = {
    "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": Digest.of(_CONFIG),
        "size": len(_CONFIG),
    },
    "layers": [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest.of(_LAYER), "size": len(_LAYER)}
    ],
}
_IMAGE = json.dumps(oci_image(**_PARTS)).encode()
_ENTRY: dict[str, Any] = {
    "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest.of(_IMAGE), "size": len(_IMAGE),
}  # fmt: skip
_REFERRER = json.dumps(oci_image(**_PARTS, subject=_ENTRY, artifactType="a/b")).encode()
_BLOBS = {Digest.of(content): content for content in (_LAYER, _CONFIG, _IMAGE, _REFERRER)}
_MARKER = b'{"imageLayoutVersion": "1.0.0"}'
_NAMES = (
    "1.0",
    "team/app:1.0",
    f"team/app@{DIGEST}",
    f"sha256-{Digest.of(_IMAGE).encoded}",
    "registry.example.com/app:x",
)


def _indexes() -> list[bytes]:
    named = [{**_ENTRY, "annotations": {REF_NAME: name}} for name in _NAMES]
    named.append({**_ENTRY, "annotations": {"io.containerd.image.name": "docker.io/library/app:2"}})
    referrer = {**_ENTRY, "digest": Digest.of(_REFERRER), "size": len(_REFERRER)}
    entries = ([_ENTRY, referrer], named, [*named, *named, referrer])
    return [json.dumps({"schemaVersion": 2, "manifests": each}).encode() for each in entries]


def _look_around(store: ContentStore) -> None:
    """Ask a store for all that it has."""
    for repository in store.repositories():
        store.untagged(repository)
        store.faults(repository)
        for tag in store.tags(repository):
            digest = store.resolve(repository, tag)
            store.referrers(repository, digest)
            store.manifest(repository, tag).parse()
    store.stored_blobs()


def _layout(index: bytes) -> None:
    folder = Path("layout")
    if not folder.is_dir():
        for digest, content in _BLOBS.items():
            path = folder / blob_path(digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / MARKER).write_bytes(_MARKER)
    (folder / INDEX).write_bytes(index)
    _look_around(OCILayoutStore(folder))


def _saved_lists() -> list[bytes]:
    old = {
        "Config": f"{Digest.of(_CONFIG).encoded}.json",
        "RepoTags": ["app:1", "team/app:2"],
        "Layers": ["abc/layer.tar"],
    }
    new = {"Config": blob_path(Digest.of(_CONFIG)), "RepoTags": None, "Layers": [blob_path(Digest.of(_LAYER))]}
    return [
        json.dumps(each).encode() for each in ([old], [new], [old, new, {**new, "RepoTags": ["registry:5000/a:b"]}])
    ]


@cache
def _saved_members() -> bytes:
    """What a docker-archive has besides its list."""
    old = entry(f"{Digest.of(_CONFIG).encoded}.json", _CONFIG) + entry("abc/layer.tar", _LAYER)
    old += header("def/layer.tar", flag=b"2", link=b"../abc/layer.tar")
    return old + b"".join(entry(blob_path(digest), content) for digest, content in _BLOBS.items())


def _saved_list(listed: bytes) -> None:
    """The `manifest.json` of a docker-archive."""
    Path("saved.tar").write_bytes(_saved_members() + entry("manifest.json", listed) + END)
    store = DockerArchiveStore("saved.tar")
    _look_around(store)
    _ = store.images


def _archives() -> list[bytes]:
    docker = [entry("manifest.json", listed) + _saved_members() + END for listed in _saved_lists()]
    layouts = [
        entry("./oci-layout", _MARKER) + entry("index.json", index) + _saved_members() + END for index in _indexes()
    ]
    both = entry("oci-layout", _MARKER) + entry("index.json", _indexes()[0]) + docker[1]
    return [*docker, *layouts, both]


def _docker_archive(data: bytes) -> None:
    _written(data)
    _look_around(DockerArchiveStore("archive.tar"))


def _oci_archive(data: bytes) -> None:
    _written(data)
    _look_around(OCIArchiveStore("archive.tar"))


def _form(data: bytes) -> None:
    kind_of_archive(_written(data))


def _written(data: bytes) -> Path:
    path = Path("archive.tar")
    path.write_bytes(gzip.compress(data, 1) if len(data) % 5 == 0 else data)
    return path


TARGETS = (
    Target("layouts", _layout, _indexes, json_changed, 20),
    Target("saved-images", _saved_list, _saved_lists, json_changed, 20),
    Target("archives", each_of(_form, _docker_archive, _oci_archive), _archives, tar_changed, 20),
)
