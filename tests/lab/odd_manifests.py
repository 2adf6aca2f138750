"""Manifests as tools of the field write them, beside the plain ones of `drawn_registry`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.lab.drawn_registries import CONFIG, INDEX, LAYER, MANIFEST, Pushed, descriptor, index

__all__ = ["ODDITIES", "annotated", "image_cache", "nested", "standing_in"]

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER = {
    MANIFEST: DOCKER_MANIFEST,
    INDEX: DOCKER_LIST,
    CONFIG: "application/vnd.docker.container.image.v1+json",
    LAYER: "application/vnd.docker.image.rootfs.diff.tar",
}


def annotated(pushed: Pushed, **annotations: str) -> Pushed:
    """The same image in a manifest that says more of itself."""
    return _changed(pushed, annotations=annotations)


def standing_in(pushed: Pushed) -> Pushed:
    """The same image, pushed by a stranger who writes what regscope writes on what it pushes over a tag."""
    return annotated(
        pushed, **{"regscope.stands-in": "0" * 32, "org.opencontainers.image.created": "2015-01-01T00:00:00Z"}
    )


def image_cache(layers: list[bytes]) -> Pushed:
    """A cache as BuildKit writes it with `image-manifest=true`: a manifest whose config lists the records."""
    records = [{"digest": f"{number}", "layers": [{"layer": number}]} for number in range(len(layers))]
    config = json.dumps({"layers": [{"blob": Pushed(each, "").digest} for each in layers], "records": records}).encode()
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.buildkit.cacheconfig.v0", config),
            "layers": [descriptor(f"{LAYER}+gzip", each) for each in layers],
        }
    ).encode()
    return Pushed(raw, MANIFEST, (config, *layers))


def nested(inside: Pushed, *others: Pushed) -> Pushed:
    """An index that has an index among its children."""
    return index([inside, *others])


def _pretty(pushed: Pushed) -> Pushed:
    """The same in other bytes: another digest that needs the very same blobs."""
    raw = json.dumps(json.loads(pushed.raw), indent=3).encode() + b"\n"
    return Pushed(raw, pushed.media_type, pushed.blobs, pushed.children)


def _without_media_type(pushed: Pushed) -> Pushed:
    """OCI does not ask for the field."""
    document = json.loads(pushed.raw)
    del document["mediaType"]
    return Pushed(json.dumps(document).encode(), pushed.media_type, pushed.blobs, pushed.children)


def _of_docker(pushed: Pushed) -> Pushed:
    """With Docker's media types; a list of these has children of its own kind."""
    children = tuple(map(_of_docker, pushed.children))
    document = json.loads(pushed.raw)
    for each in (document, document.get("config", {}), *document.get("layers", ()), *document.get("manifests", ())):
        each["mediaType"] = _DOCKER.get(each.get("mediaType"), each.get("mediaType"))
    if len(document.get("manifests", ())) != len(children):  # one that names a child twice stays as it is
        return pushed
    for entry, child in zip(document.get("manifests", ()), children, strict=True):
        entry.update(digest=child.digest, size=len(child.raw))
    document = {key: value for key, value in document.items() if value != {}}
    return Pushed(json.dumps(document).encode(), _DOCKER[pushed.media_type], pushed.blobs, children)


def _twice(pushed: Pushed) -> Pushed:
    """Every layer, or child, named once more."""
    document = json.loads(pushed.raw)
    for key in ("layers", "manifests"):
        document[key] = document.get(key, []) * 2
    document = {key: value for key, value in document.items() if value}
    return Pushed(json.dumps(document).encode(), pushed.media_type, pushed.blobs, pushed.children)


def _bare(pushed: Pushed) -> Pushed:
    """Children without a platform, and an image whose config is empty: nothing says what it is for."""
    document = json.loads(pushed.raw)
    for entry in document.get("manifests", ()):
        entry.pop("platform", None)
    if pushed.children:
        return Pushed(json.dumps(document).encode(), pushed.media_type, (), pushed.children)
    document["config"] = descriptor(CONFIG, b"{}")
    return Pushed(json.dumps(document).encode(), pushed.media_type, (b"{}", *pushed.blobs[1:]))


def _with_inlined_config(pushed: Pushed) -> Pushed:
    """`data` in a descriptor, and fields that no specification has."""
    document = json.loads(pushed.raw)
    for each in (*document.get("layers", ()), *document.get("manifests", ())):
        each["x-builder"] = {"seconds": 1.5}
    if "config" in document:
        document["config"] = descriptor(CONFIG, b"{}", data="e30=")
        return Pushed(json.dumps(document).encode(), pushed.media_type, (b"{}", *pushed.blobs[1:]))
    return Pushed(json.dumps(document).encode(), pushed.media_type, pushed.blobs, pushed.children)


ODDITIES: list[Callable[[Pushed], Pushed]] = [
    _pretty,
    _without_media_type,
    _of_docker,
    _twice,
    _bare,
    _with_inlined_config,
]
"""Each makes another manifest out of an image or an index; distribution takes all of them."""


def _changed(pushed: Pushed, **more: Any) -> Pushed:
    raw = json.dumps({**json.loads(pushed.raw), **more}).encode()
    return Pushed(raw, pushed.media_type, pushed.blobs, pushed.children)
