"""2,000 small images in 200 repositories, pushed into a registry and written as files for a static server."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers.registry import Registry

REPOSITORIES, TAGS = 200, 10
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"  # the one kind that all peers read
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

Image = tuple[str, str, bytes, bytes, list[bytes]]  # repository, tag, manifest, config, layers


def digest(content: bytes) -> str:
    """The sha256 digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def images(repositories: int = REPOSITORIES) -> list[Image]:
    """The images, the same ones each time."""
    return [_image(f"team-{number % 7}/app-{number:03}", tag) for number in range(repositories) for tag in range(TAGS)]


def _image(repository: str, tag: int) -> Image:
    draw = random.Random(f"{repository}:{tag}")
    layers = [f"base {draw.randrange(20)}".encode(), *(draw.randbytes(64) for _ in range(3))]
    runs = [f"RUN /bin/sh -c apt-get install -y package-{draw.randrange(1000)} # buildkit" for _ in layers]
    when = f"2024-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}T10:11:12.123456789Z"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": when,
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", f"VERSION={tag}"],
            "Cmd": ["/app"],
            "Labels": {"org.opencontainers.image.revision": draw.randbytes(20).hex(), "maintainer": "team"},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(b"diff" + layer) for layer in layers]},
        "history": [{"created": when, "created_by": run, "comment": "buildkit.dockerfile.v0"} for run in runs]
        + [{"created": when, "created_by": 'CMD ["/app"]', "empty_layer": True}],
    }
    raw = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": len(raw), "digest": digest(raw)},
        "layers": [{"mediaType": LAYER, "size": len(layer), "digest": digest(layer)} for layer in layers],
    }
    return repository, f"v{tag}", json.dumps(manifest).encode(), raw, layers


def push(registry: Registry, all_images: list[Image]) -> None:
    """Push them, eight at a time."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda part: _push(registry.port, all_images[part::8]), range(8)))


def _push(port: int, some: list[Image]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer

    for repository, tag, manifest, config, layers in some:
        for blob in (config, *layers):
            opened = ask("POST", f"/v2/{repository}/blobs/uploads/")
            path = (opened.getheader("Location") or "").partition(f":{port}")[2]
            assert ask("PUT", f"{path}&digest={digest(blob)}", blob).status == 201
        for _ in range(20):  # docker-registry misses a layer for a moment while somebody else pushes the same
            answer = ask("PUT", f"/v2/{repository}/manifests/{tag}", manifest, **{"Content-Type": MANIFEST})
            if answer.status == 201:
                break
            time.sleep(0.1)
        assert answer.status == 201
    connection.close()


def write_files(folder: Path, all_images: list[Image]) -> None:
    """The same content as files under the paths of the API."""
    tags: dict[str, list[str]] = {}
    for repository, tag, manifest, config, _ in all_images:
        root = folder / "v2" / repository
        for path, content in (
            (root / "manifests" / tag, manifest),
            (root / "manifests" / digest(manifest), manifest),
            (root / "blobs" / digest(config), config),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        tags.setdefault(repository, []).append(tag)
    for repository, names in tags.items():
        path = folder / "v2" / repository / "tags" / "list"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"name": repository, "tags": names}))
    (folder / "v2" / "_catalog").write_text(json.dumps({"repositories": sorted(tags)}))
