"""Content that is named by its sha512, wherever that is taken: an OCI layout takes all of it, registries take blobs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import DigestMismatch
from regscope.registry.local_content import LocalContent
from regscope.registry.sending import Sender
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from regscope.stores.layout_writer import tar_of
from tests.servers.places import Places
from tests.servers.registry import Registry

TAR = tar_of({"file": b"x" * 3_000_000})  # more than fits into one request


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A layout with an image `app:1`, and an index of it `app:all`."""
    folder = tmp_path / "source"
    (folder / "blobs" / "sha512").mkdir(parents=True)

    def blob(content: bytes | dict[str, Any], media_type: str) -> dict[str, Any]:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = Digest.of(raw, "sha512")
        (folder / "blobs" / "sha512" / digest.encoded).write_bytes(raw)
        return {"mediaType": media_type, "digest": digest, "size": len(raw)}

    rootfs = {"type": "layers", "diff_ids": [Digest.of(TAR)]}
    config = blob({"architecture": "amd64", "os": "linux", "rootfs": rootfs, "history": []}, OCI_CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": [blob(TAR, OCI_LAYER)],
    }
    image = blob(document, OCI_MANIFEST)
    index = blob({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [image]}, OCI_INDEX)
    named = [
        {**entry, "annotations": {"org.opencontainers.image.ref.name": name}}
        for name, entry in {"app:1": image, "app:all": index}.items()
    ]
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": named}))
    return f"oci:{folder}"


def test_a_layout_keeps_the_digests(source: str, place: Places) -> None:
    where = place("layout")
    done = rs.copy(source, ["app:1", "app:all"], where)
    there, here = rs.open(where, cache=False), rs.open(source, cache=False)
    for tag, image in zip(["1", "all"], done.images, strict=True):
        assert image.digest == there.resolve("app", tag) == here.resolve("app", tag)
        assert image.digest.startswith("sha512:")
        assert there.manifest("app", tag).raw == here.manifest("app", tag).raw
    layer = there.manifest("app", "1").parse().layers[0]  # type: ignore[union-attr]
    assert b"".join(there.blob("app", layer.digest)) == TAR


def test_a_registry_takes_the_blobs_and_the_very_bytes_of_the_manifest(source: str, place: Places) -> None:
    where = place("docker-registry")
    rs.copy(source, "app:1", where)
    there, raw = rs.open(where, cache=False), rs.open(source, cache=False).manifest("app", "1").raw
    assert there.manifest("app", "1").raw == raw
    assert there.resolve("app", "1") == Digest.of(raw)  # it names manifests by sha256 alone
    layer = there.manifest("app", "1").parse().layers[0]  # type: ignore[union-attr]
    assert layer.digest == Digest.of(TAR, "sha512")
    assert b"".join(there.blob("app", layer.digest)) == TAR


def test_a_manifest_that_must_go_by_its_sha512_is_refused_in_words(source: str, place: Places) -> None:
    with pytest.raises(rs.RequestError, match="400"):
        rs.copy(source, "app:all", place("docker-registry"))


@pytest.mark.parametrize("chunks", [False, True])
def test_a_large_blob_is_streamed(tmp_path: Path, chunks: bool) -> None:
    content, digest = TAR * 3, Digest.of(TAR * 3, "sha512")
    with Registry(tmp_path / "registry") as server:
        client = rs.DockerRegistryV2Client(server.url)
        client.uploads.chunk = 2**20 if chunks else None
        sent, size = Sender(client, "app").send_streaming(LocalContent.of(content), digest)
        assert (sent, size) == (digest, len(content))
        assert rs.Blob("app", digest, client=client).read(2**24) == content
        with pytest.raises(DigestMismatch):
            rs.Blob("app", digest, fileobj=io.BytesIO(TAR), client=client).upload_at_one_time()


def test_it_is_scanned_and_changed(source: str, place: Places) -> None:
    snap = rs.scan(rs.open(source, cache=False))
    assert snap.problems.empty
    assert list(snap.layers["blob_digest"].unique()) == [Digest.of(TAR, "sha512")]
    where = place("layout")
    changed = rs.Image.read(source, "app:1").mutate(env={"A": "b"}).write(where, "app:2")
    assert rs.open(where, cache=False).resolve("app", "2") == changed
