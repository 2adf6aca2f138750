"""Images changed without a daemon: what comes out runs, is told by its digest, and is read by others."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

import regscope as rs
from regscope.errors import ContentMissing, DigestMismatch, InvalidInput
from regscope.images.flattening import flattened
from regscope.layers.compression import compressed, uncompressed
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.image_config import parse_image_config
from regscope.spec.manifest import DockerManifestList, ImageManifest, OCIIndex
from regscope.spec.media_types import (
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from regscope.stores.content_store import ContentStore
from regscope.stores.layout_writer import Layer, LayoutWriter, tar_of
from tests.lab.corners import CORNERS
from tests.lab.images import skopeo
from tests.servers.registry import Registry


@pytest.fixture
def store(layout: Path) -> ContentStore:
    """The layout of `tests.lab.images`."""
    return rs.open(f"oci:{layout}", cache=False)


@pytest.fixture
def target(tmp_path: Path) -> str:
    """An empty layout."""
    return f"oci:{tmp_path / 'target'}"


def config_of(location: str, name: str) -> dict[str, Any]:
    """The config of an image, all of whose content was read and verified, diff_ids too."""
    store = rs.open(location, cache=False)
    repository, tag = name.split(":")
    manifest = store.manifest(repository, tag).parse()
    assert isinstance(manifest, ImageManifest)
    raw = store.read_blob(repository, manifest.config.digest, 2**20)
    config = parse_image_config(raw)
    diff_ids = [Digest.of(b"".join(uncompressed(store.blob(repository, layer.digest)))) for layer in manifest.layers]
    assert list(config.rootfs.diff_ids) == diff_ids
    steps = sum(not step.empty_layer for step in config.history)
    assert steps == len(diff_ids)
    return dict(json.loads(raw))


def test_unchanged_it_is_written_byte_for_byte(store: ContentStore, target: str) -> None:
    for name in ("app:1.0", "legacy:1"):
        image = rs.Image.read(store, name)
        assert image.write(target, name) == store.resolve(*name.split(":"))
        assert rs.open(target).resolve(*name.split(":")) == store.resolve(*name.split(":"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_layer_is_put_on_top(
    store: ContentStore, target: str, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    tar = tar_of({"srv/patch": b"patched"})
    (tmp_path / "layer").write_bytes(pack(tar))
    image = rs.Image.read(store, "app:1.0").append(tmp_path / "layer", created_by="patch it")
    image.write(target, "app:new")
    config = config_of(target, "app:new")
    assert config["rootfs"]["diff_ids"][-1] == Digest.of(tar)
    assert config["history"][-1] == {"created_by": "patch it"}
    assert image.layers[-1].descriptor.mediaType == (
        OCI_LAYER_ZSTD if (tmp_path / "layer").read_bytes().startswith(b"\x28\xb5") else OCI_LAYER_GZIP
    )


def test_the_same_changes_give_the_same_digest(store: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(tar_of({"srv/patch": b"patched"}))

    def changed() -> rs.Image:
        image = rs.Image.read(store, "app:1.0").append(tmp_path / "layer").mutate(env={"A": "1"}, labels={"b": "2"})
        return image.flatten().recompress("zstd")

    assert changed().digest == changed().digest


def test_how_it_runs_is_changed_and_the_rest_stays(store: ContentStore, target: str) -> None:
    before = rs.Image.read(store, "app:1.0")
    after = before.mutate(
        env={"LANG": None, "LOG": "debug=1"},
        labels={"team": None, "new": "<b>"},
        entrypoint=["sh", "-c"],
        cmd=[],
        user="1000",
        working_dir="/srv",
        annotations={"org.opencontainers.image.source": None, "who": "me"},
    )
    after.write(target, "app:new")
    config = config_of(target, "app:new")
    assert config["config"] == {
        "Labels": {"org.opencontainers.image.version": "1.0", "new": "<b>"},
        "Env": ["LOG=debug=1"],
        "Cmd": [],
        "Entrypoint": ["sh", "-c"],
        "User": "1000",
        "WorkingDir": "/srv",
    }
    assert {key: value for key, value in config.items() if key != "config"} == {
        key: value for key, value in before.config.items() if key != "config"
    }
    assert after.manifest["annotations"] == {"who": "me"}
    assert before.mutate().digest == before.digest
    assert before.mutate(labels={"not there": None}).digest == before.digest


def test_fields_that_nobody_knows_survive(tmp_path: Path, target: str) -> None:
    with LayoutWriter(tmp_path / "odd") as writer:
        config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}, "moby.x": [1]}
        described = writer.blob(json.dumps(config).encode(), OCI_CONFIG)
        manifest = {
            "schemaVersion": 2,
            "config": {"mediaType": OCI_CONFIG, "digest": described.digest, "size": described.size},
            "layers": [],
            "x-extra": True,
        }
        writer.tag("odd:1", writer.blob(json.dumps(manifest).encode(), OCI_MANIFEST))
    image = rs.Image.read(f"oci:{tmp_path / 'odd'}", "odd:1").mutate(user="me")
    image.write(target, "odd:2")
    written = json.loads(rs.open(target).manifest("odd", "2").raw)
    assert written["x-extra"] is True
    assert config_of(target, "odd:2")["moby.x"] == [1]


def bases(folder: Path) -> str:
    """A base in two versions, and an app on the first."""
    with LayoutWriter(folder) as writer:
        old, new, more, own = (
            writer.layer(tar_of({name: name.encode() * 100}), f"COPY {name}") for name in ("old", "new", "more", "own")
        )
        made: dict[str, list[Layer | str]] = {
            "base:1": [old, "CMD old"], "base:2": [new, more, "CMD new"], "app:1": [old, "CMD old", own, "USER me"]
        }  # fmt: skip
        for name, layers in made.items():
            writer.tag(name, writer.image(layers, created="2024-01-01T00:00:00Z", config={"User": name}))
        writer.tag("arm:1", writer.image([new], created="2024-01-01T00:00:00Z", architecture="arm64"))
    return f"oci:{folder}"


def test_another_base_is_put_under_it(tmp_path: Path, target: str) -> None:
    layout = bases(tmp_path / "bases")
    app, old, new = (rs.Image.read(layout, name) for name in ("app:1", "base:1", "base:2"))
    app.rebase(old, new).write(target, "app:2")
    config = config_of(target, "app:2")
    assert [step["created_by"] for step in config["history"]] == [
        "COPY new", "COPY more", "CMD new", "COPY own", "USER me",
    ]  # fmt: skip
    assert config["config"] == {"User": "app:1"}
    with pytest.raises(InvalidInput, match="not built on the old base"):
        app.rebase(new, old)
    with pytest.raises(InvalidInput, match="different platforms"):
        app.rebase(old, rs.Image.read(layout, "arm:1"))
    again = app.recompress("zstd").rebase(old, new)
    assert [layer.diff_id for layer in again.layers] == config["rootfs"]["diff_ids"]


def test_recompressed_it_unpacks_to_the_same(store: ContentStore, target: str) -> None:
    image = rs.Image.read(store, "app:1.0")
    packed = image.recompress("zstd")
    packed.write(target, "app:zstd")
    assert config_of(target, "app:zstd")["rootfs"] == image.config["rootfs"]
    assert {layer.descriptor.mediaType for layer in packed.layers} == {OCI_LAYER_ZSTD}
    assert packed.recompress("zstd").digest == packed.digest
    assert [layer.diff_id for layer in packed.recompress("gzip").layers] == [layer.diff_id for layer in image.layers]
    with pytest.raises(InvalidInput, match="is not possible in"):
        rs.Image.read(store, "legacy:1").recompress("zstd")


def test_docker_and_oci_are_converted_into_one_another(store: ContentStore, target: str) -> None:
    docker = rs.Image.read(store, "legacy:1")
    docker.to_oci().write(target, "legacy:oci")
    assert rs.open(target).manifest("legacy", "oci").parse().media_type == OCI_MANIFEST
    assert config_of(target, "legacy:oci") == docker.config
    assert docker.to_docker().digest == docker.digest
    rs.Image.read(store, "app:1.0").to_docker().write(target, "app:docker")
    manifest = rs.open(target).manifest("app", "docker").parse()
    assert isinstance(manifest, ImageManifest)
    assert (manifest.media_type, {layer.mediaType for layer in manifest.layers}) == (DOCKER_MANIFEST, {DOCKER_LAYER})
    with pytest.raises(InvalidInput, match="is not possible in"):
        rs.Image.read(store, "app:1.0").recompress("zstd").to_docker()


def unpacked(image: str, folder: Path) -> dict[str, tuple[Any, ...]]:
    """What umoci makes of an image in a layout: by path kind, mode, owner, time, content, and which are one file."""
    command = ["umoci", "raw", "unpack", *(() if os.getuid() == 0 else ("--rootless",)), "--image", image, str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    found: dict[str, tuple[Any, ...]] = {}
    inodes: dict[int, str] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        first = inodes.setdefault(status.st_ino, str(path.relative_to(folder)))
        time = 0 if path.is_dir() else int(status.st_mtime)  # a folder's changes with what is put into it
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_uid, status.st_gid, time, content, first)
    return found


@pytest.mark.parametrize("corner", CORNERS)
def test_flattened_it_unpacks_to_the_same_files(corner: str, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    with LayoutWriter(layout) as writer:
        layers = [writer.layer(layer, f"layer {number}") for number, layer in enumerate(CORNERS[corner])]
        writer.tag("many", writer.image(layers, created="2024-01-01T00:00:00Z"))
    image = rs.Image.read(f"oci:{layout}", "layout:many")
    flat = image.flatten()
    flat.write(f"oci:{tmp_path / 'flat'}", "flat:one")
    assert len(config_of(f"oci:{tmp_path / 'flat'}", "flat:one")["rootfs"]["diff_ids"]) == 1
    skopeo("copy", "-q", f"oci:{tmp_path / 'flat'}:flat:one", f"oci:{tmp_path / 'plain'}:one")
    before = unpacked(f"{layout}:many", tmp_path / "before")
    assert unpacked(f"{tmp_path / 'plain'}:one", tmp_path / "after") == before


def test_a_layer_that_is_no_tar_cannot_be_flattened(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no tar"):
        list(flattened([lambda: iter([b"no tar at all" * 100])]))


def test_a_layer_that_is_not_what_its_diff_id_says_is_not_used(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "layout") as writer:
        layer = writer.layer(tar_of({"a": b"a"}), "COPY a")._replace(diff_id=Digest.of(b"another"))
        writer.tag("app:1", writer.image([layer], created="2024-01-01T00:00:00Z"))
    image = rs.Image.read(f"oci:{tmp_path / 'layout'}", "app:1")
    for change in (image.flatten, lambda: image.recompress("zstd")):
        with pytest.raises(DigestMismatch):
            change()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"x" * 2000, gzip.compress(b"text"), gzip.compress(b"x" * 2000)],
    ids=["nothing", "a word", "many letters", "a packed word", "many letters, packed"],
)
def test_what_is_no_tar_becomes_no_layer(layout: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "layer").write_bytes(content)
    with pytest.raises(InvalidInput, match="is no tar"):
        rs.Image.read(f"oci:{layout}", "app:1.0").append(tmp_path / "layer")


def test_a_tar_of_nothing_is_one(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(tar_of({}))
    assert rs.Image.read(f"oci:{layout}", "app:1.0").append(tmp_path / "layer")


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_damaged_compression_is_an_error(compression: Any) -> None:
    content = bytes(range(256)) * 10_000
    packed = b"".join(compressed([content], compression))
    assert b"".join(uncompressed([packed])) == content
    assert b"".join(uncompressed([packed[:1], packed[1:], packed])) == content * 2  # members, or frames
    for damaged in (packed[:-20], packed[:300] + b"\0\0\0\0" + packed[304:]):
        with pytest.raises(InvalidInput, match="compression"):
            list(uncompressed([damaged]))


def test_what_follows_gzip_is_passed_over_as_gzip_does_and_is_an_error_after_zstd() -> None:
    assert b"".join(uncompressed([b"".join(compressed([b"content"], "gzip")) + b"garbage"])) == b"content"
    with pytest.raises(InvalidInput, match="compression"):
        list(uncompressed([b"".join(compressed([b"content"], "zstd")) + b"garbage"]))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_packs_a_lot_is_unpacked_a_piece_at_a_time(compression: Any) -> None:
    packed = b"".join(compressed([bytes(2**20)] * 300, compression))
    assert max(map(len, uncompressed([packed]))) <= 2**27


def test_an_index_is_made_and_changed(store: ContentStore, target: str) -> None:
    arm = rs.Image.read(store, "team/api:1.0", "linux/arm64")
    arm.write(target, "api:arm")
    rs.copy(store, "app:1.0", target)

    def make() -> Digest:
        return rs.make_index(target, ["app:1.0", "api:arm"], target, "both:1", annotations={"who": "me"})

    digest = make()
    made = rs.open(target).manifest("both", "1").parse()
    assert isinstance(made, OCIIndex)
    assert (
        made.digest
        == digest
        == rs.make_index(target, ["app:1.0", "api:arm"], target, "both:1", annotations={"who": "me"})
    )
    assert [str(child.platform) for child in made.manifests] == ["linux/amd64", "linux/arm64/v8"]
    assert made.annotations == {"who": "me"}
    rs.copy(store, "app:1.1", target)
    rs.make_index(target, ["both:1", "app:1.1"], target, "both:2")
    changed = rs.open(target).manifest("both", "2").parse()
    assert isinstance(changed, OCIIndex)
    assert [child.digest for child in changed.manifests] == [arm.digest, store.resolve("app", "1.1")]
    assert rs.open(target).untagged("target") == []


def test_an_index_in_a_registry_of_images_from_elsewhere(
    store: ContentStore, tmp_path: Path, images: dict[str, Descriptor]
) -> None:
    with Registry(tmp_path / "registry") as server:
        rs.make_index(store, ["legacy:1"], server.url, "old:list")
        listed = rs.open(server.url).manifest("old", "list").parse()
        assert isinstance(listed, DockerManifestList)
        assert listed.manifests[0].digest == images["legacy:1"].digest
        rs.make_index(store, ["team/api:1.0"], server.url, "api:same")
        same = rs.open(server.url).manifest("api", "same").parse()
        assert isinstance(same, OCIIndex)
        assert len(same.manifests) == 3  # the attestation, too
    with pytest.raises(InvalidInput, match="no images for the index"):
        rs.make_index(store, [], f"oci:{tmp_path / 'new'}", "a:1")


def test_within_a_registry_layers_are_mounted(store: ContentStore, tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as server:
        rs.copy(store, "app:1.0", server.url)
        before = len(server.requests())
        rs.Image.read(server.url, "app:1.0").mutate(user="me").write(server.url, "mine:1")
        asked = [request.partition("?")[0] for request in server.requests()[before:]]
        assert not [request for request in asked if request.startswith("PATCH")]
        assert sum(request.startswith("PUT /v2/mine/blobs") for request in asked) == 1  # the config
        assert config_of(server.url, "mine:1")["config"]["User"] == "me"


@pytest.mark.parametrize(
    ("name", "platform", "error"),
    [
        ("app:9", "linux/amd64", ContentMissing),
        ("team/api:1.0", "linux/s390x", ContentMissing),
        ("app:", "linux/amd64", InvalidInput),
        ("team/api:1.0", "linux", InvalidInput),
    ],
)
def test_what_cannot_be_read(store: ContentStore, name: str, platform: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        rs.Image.read(store, name, platform)


def test_an_artifact_is_no_image(store: ContentStore, images: dict[str, Descriptor]) -> None:
    with pytest.raises(InvalidInput, match="no image that can be changed"):
        rs.Image.read(store, f"app@{images['sbom'].digest}")


def test_an_image_in_hand_is_shown(store: ContentStore) -> None:
    image = rs.Image.read(store, "app:1.0")
    assert image.digest in repr(image)
    assert "linux/amd64" in image._repr_html_()
