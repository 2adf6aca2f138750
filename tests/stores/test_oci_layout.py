"""OCI image layouts: names, damage, and what umoci writes."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import ContentMissing, DigestMismatch, InvalidDigest, NotAStore, StoreError, TooLarge
from regscope.spec import media_types
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIManifestSchema1
from regscope.stores.layout_writer import Layer, LayoutWriter, tar_of
from regscope.stores.oci_layout import OCILayoutStore
from tests.images import TAGS, write_layout

Images = dict[str, Descriptor]
NOBODY = "sha256:" + "0" * 64


def blob(folder: Path, digest: str) -> Path:
    return folder / "blobs" / digest.replace(":", "/")


def test_repositories_and_tags_are_those_of_the_names(layout: Path, images: Images) -> None:
    store = OCILayoutStore(layout)
    assert store.repositories() == sorted(TAGS)
    for repository, tags in TAGS.items():
        assert [tag for tag in store.tags(repository) if not tag.startswith("sha256-")] == tags
        for tag in tags:
            assert store.resolve(repository, tag) == images[f"{repository}:{tag}"].digest
    assert store.location == f"oci:{layout}"


def test_a_referrer_without_a_name_is_found_at_its_subject(layout: Path, images: Images) -> None:
    store = OCILayoutStore(layout)
    assert [found.digest for found in store.referrers("app", images["app:1.0"].digest) or ()] == [images["sbom"].digest]
    assert store.referrers("app", images["app:1.1"].digest) == []
    assert store.untagged("layout") == []


def test_what_has_no_name_is_untagged_under_the_folders(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "mine") as writer:
        image = writer.image([], created="2024-01-01T00:00:00Z")
        orphan = writer.artifact(
            b"x", "text/plain", artifact_type="a/b", subject=image.model_copy(update={"digest": Digest(NOBODY)})
        )
        writer.keep(image)
        writer.keep(orphan)
    store = OCILayoutStore(tmp_path / "mine")
    assert (store.repositories(), store.tags("mine")) == (["mine"], [])
    assert store.untagged("mine") == sorted([image.digest, orphan.digest])
    assert store.manifest("mine", image.digest).raw == blob(tmp_path / "mine", image.digest).read_bytes()


@pytest.mark.parametrize(
    ("annotations", "repository", "tag"),
    [
        ({"org.opencontainers.image.ref.name": "1.0"}, "mine", "1.0"),
        ({"org.opencontainers.image.ref.name": "app:1.0"}, "app", "1.0"),
        ({"org.opencontainers.image.ref.name": "team/app"}, "team/app", "latest"),
        ({"org.opencontainers.image.ref.name": "localhost:5000/team/app:1.0"}, "localhost:5000/team/app", "1.0"),
        ({"org.opencontainers.image.ref.name": "localhost:5000/team/app"}, "localhost:5000/team/app", "latest"),
        ({"org.opencontainers.image.ref.name": f"team/app:1.0@{NOBODY}"}, "team/app", "1.0"),
        (
            {"io.containerd.image.name": "quay.io/team/app:2", "org.opencontainers.image.ref.name": "2"},
            "quay.io/team/app",
            "2",
        ),
    ],
)
def test_names_are_read_as_their_writers_mean_them(
    tmp_path: Path, annotations: dict[str, str], repository: str, tag: str
) -> None:
    with LayoutWriter(tmp_path / "mine") as writer:
        image = writer.image([], created="2024-01-01T00:00:00Z").model_copy(update={"annotations": annotations})
        writer.keep(image)
    store = OCILayoutStore(tmp_path / "mine")
    assert store.repositories() == [repository]
    assert store.tags(repository) == [tag]
    assert store.resolve(repository, tag) == image.digest
    assert store.untagged("mine") == []


def test_what_umoci_writes_is_read(tmp_path: Path) -> None:
    if not shutil.which("umoci"):
        pytest.skip("needs umoci")
    folder = tmp_path / "made"
    for command in (["init", "--layout", str(folder)], ["new", "--image", f"{folder}:first"]):
        subprocess.run(["umoci", *command], check=True, capture_output=True, timeout=60)
    store = OCILayoutStore(folder)
    assert (store.repositories(), store.tags("made")) == (["made"], ["first"])
    manifest = store.manifest("made", "first")
    assert isinstance(manifest.parse(), OCIManifestSchema1)
    assert manifest.digest == store.resolve("made", "first")


def test_an_empty_layout_is_empty(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path / "mine"):
        pass
    store = OCILayoutStore(tmp_path / "mine")
    assert (store.repositories(), store.untagged("mine"), store.tags("mine")) == ([], [], [])


def test_a_layout_pickles(layout: Path, images: Images) -> None:
    store = OCILayoutStore(layout)
    store.repositories()
    copy = pickle.loads(pickle.dumps(store))
    assert copy.manifest("base", "1") == store.manifest("base", "1")
    assert repr(copy) == repr(store)


# Damage


def test_a_missing_blob_is_said(own_layout: Path, images: Images) -> None:
    digest = images["base:1"].digest
    blob(own_layout, digest).unlink()
    store = OCILayoutStore(own_layout)
    for ask in (
        lambda: store.manifest("base", "1"),
        lambda: store.manifest("base", digest),
        lambda: list(store.blob("base", digest)),
        lambda: store.read_blob("base", digest, 100),
        lambda: store.blob_size("base", digest),
        lambda: store.resolve("base", "nothing"),
        lambda: store.tags("nothing"),
        lambda: store.manifest("nothing", "1"),
    ):
        with pytest.raises(ContentMissing) as caught:
            ask()
        assert caught.value.next_step
    assert store.tags("base") == ["1", "stable"]


def test_a_flipped_byte_is_noticed(own_layout: Path, images: Images) -> None:
    digest = images["base:1"].digest
    content = bytearray(blob(own_layout, digest).read_bytes())
    content[len(content) // 2] ^= 1
    blob(own_layout, digest).write_bytes(content)
    store = OCILayoutStore(own_layout)
    for ask in (
        lambda: store.manifest("base", "1"),
        lambda: list(store.blob("base", digest)),
        lambda: store.read_blob("base", digest, 10**6),
    ):
        with pytest.raises(DigestMismatch):
            ask()


def test_a_blob_above_the_limit_is_not_read(layout: Path, images: Images) -> None:
    image = images["base:1"]
    assert len(OCILayoutStore(layout).read_blob("base", image.digest, image.size)) == image.size
    with pytest.raises(TooLarge):
        OCILayoutStore(layout).read_blob("base", image.digest, image.size - 1)


def test_a_huge_manifest_is_not_read(own_layout: Path, images: Images) -> None:
    with blob(own_layout, images["base:1"].digest).open("r+b") as file:
        file.truncate(10**11)
    with pytest.raises(TooLarge):
        OCILayoutStore(own_layout).manifest("base", "1")


@pytest.mark.parametrize("digest", ["sha256:../../../oci-layout", "sha256:", "../x:y", "sha256:" + "A" * 64])
def test_a_digest_is_no_way_out_of_the_folder(layout: Path, digest: str) -> None:
    with pytest.raises(InvalidDigest):
        list(OCILayoutStore(layout).blob("base", digest))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"manifests": 1}',
        b'{"manifests": [{}]}',
        b'{"schemaVersion": 2, "manifests": [{"mediaType": "x", "size": 1, "digest": "sha256:../.."}]}',
        b"[" * 100_000,
    ],
)
def test_an_index_that_is_none_is_said(own_layout: Path, content: bytes) -> None:
    (own_layout / "index.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"index\.json") as caught:
        OCILayoutStore(own_layout).repositories()
    assert caught.value.next_step


def test_a_folder_that_is_no_layout_is_said(tmp_path: Path, own_layout: Path) -> None:
    (own_layout / "oci-layout").unlink()
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file", own_layout):
        with pytest.raises(NotAStore) as caught:
            OCILayoutStore(path)
        assert caught.value.next_step


# The writer


def test_the_same_calls_write_the_same_layout(tmp_path: Path, layout: Path) -> None:
    write_layout(tmp_path / "again")
    files = sorted(path.relative_to(layout) for path in layout.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()
    )
    for file in files:
        assert (layout / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_a_written_layer_has_the_digest_of_its_tar(tmp_path: Path) -> None:
    tar = tar_of({"a/b": b"c", "a/d": b""}, mtime=7)
    assert tar == tar_of({"a/d": b"", "a/b": b"c"}, mtime=7)
    with LayoutWriter(tmp_path) as writer:
        layer = writer.layer(tar, "COPY a /")
        assert isinstance(layer, Layer)
        image = writer.image([layer, "ENV x=y"], created="2024-01-01T00:00:00Z", variant="v8", architecture="arm64")
        writer.tag("x:1", image)
    assert layer.diff_id == Digest.of(tar)
    store = OCILayoutStore(tmp_path)
    manifest = store.manifest("x", "1").parse()
    assert isinstance(manifest, OCIManifestSchema1)
    config: dict[str, Any] = json.loads(store.read_blob("x", manifest.config.digest, 10**6))
    assert config["rootfs"]["diff_ids"] == [layer.diff_id]
    assert [step.get("empty_layer", False) for step in config["history"]] == [False, True]
    assert (config["variant"], manifest.layers[0].mediaType) == ("v8", media_types.OCI_LAYER_GZIP)


def test_a_layout_that_failed_half_way_is_none(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), LayoutWriter(tmp_path / "half") as writer:
        writer.tag("x:1", writer.image([], created=str(1 / 0)))
    with pytest.raises(NotAStore):
        OCILayoutStore(tmp_path / "half")
