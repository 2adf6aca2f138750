"""A slim image has the same final file system in fewer bytes: those that were predicted."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import regscope as rs
from regscope.errors import InvalidInput, RegscopeError
from regscope.images.image import Image
from regscope.layers.compression import Stored, compressed, compression_of, uncompressed
from regscope.remediation.rewriting import Rewriting
from regscope.spec.digest import Digest
from regscope.spec.media_types import DOCKER_FOREIGN_LAYER, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from regscope.stores.layout_writer import Layer, LayoutWriter
from regscope.stores.removal import open_removal
from tests.analysis.test_final_tree import UNLIKE_UMOCI
from tests.lab import layered
from tests.lab.corners import CORNERS, FOLDER, LINK, MORE_CORNERS, XATTRS, entry, tar
from tests.lab.images import skopeo
from tests.lab.real_images import real_images
from tests.lab.tars import END, header, padded, pax, rows_of
from tests.lab.tars import entry as block_entry
from tests.layers import folder_model
from tests.remediation.unpacking import assert_same, unpacked
from tests.servers.registry import Registry

HAND_MADE = CORNERS | MORE_CORNERS


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def upgraded() -> list[bytes]:
    """A package manager's upgrade: what it brings replaces files below, and a cache is deleted too late."""
    base = [entry("usr", FOLDER, mode=0o755), entry("usr/lib", FOLDER, mode=0o755), entry("var", FOLDER)]
    base += [entry(f"usr/lib/lib{number}.so", content=noise(40_000, number), mode=0o755) for number in range(20)]
    new = [entry(f"usr/lib/lib{number}.so", content=noise(40_000, 100 + number)) for number in range(0, 20, 2)]
    new += [entry("var/cache", FOLDER), entry("var/cache/packages", content=noise(300_000, 7))]
    return [tar(*base), tar(*new), tar(entry("var/.wh.cache", content=b""))]


def owned() -> list[bytes]:
    """`chown -R` in a layer of its own; files with several names, and attributes."""
    first = [entry("srv", FOLDER), entry("srv/model", content=noise(500_000, 1), pax_headers=XATTRS)]
    first += [entry("srv/same", LINK, linkname="srv/model"), entry("srv/" + "long" * 40, content=noise(70_000, 2))]
    first += [entry("srv/tool", content=noise(60_000, 3)), entry("srv/alias", LINK, linkname="srv/tool")]
    again = [entry("srv", FOLDER, uid=1000), entry("srv/model", content=noise(500_000, 1), uid=1000)]
    again += [entry("srv/same", LINK, linkname="srv/model"), entry("srv/" + "long" * 40, content=noise(70_000, 2))]
    return [tar(*first), tar(*again), tar(entry("srv/.wh.tool", content=b""))]


def secret() -> list[bytes]:
    """A secret, copied in and removed; a folder that is made opaque, and one that becomes a file and a folder again."""
    return [
        tar(entry("app", FOLDER), entry("app/old", content=noise(90_000, 4)), entry("d", FOLDER), entry("d/x"),
            entry("kept", content=noise(1000, 5))),
        tar(entry("root", FOLDER, mode=0o700), entry("root/.ssh", FOLDER),
            entry("root/.ssh/id_rsa", content=noise(3000, 6)), entry("d", content=noise(50_000, 8))),
        tar(entry("root/.wh..ssh", content=b""), entry("app", FOLDER), entry("app/.wh..wh..opq", content=b""),
            entry("app/new", content=noise(20_000, 9)), entry("d", FOLDER, mode=0o711), entry("d/y")),
    ]  # fmt: skip


WASTEFUL = {"upgraded": upgraded, "owned": owned, "secret": secret}


def slimmed(folder: Path, name: str = "image:0", **how: Any) -> Rewriting:
    found = rs.slim(f"oci:{folder}", name, "slim", **how)
    found.apply(dry_run=False)
    return found


def config_of(location: str, name: str) -> dict[str, Any]:
    return dict(Image.read(location, name).config)


def tars_of(location: str, name: str) -> list[bytes]:
    layers = Image.read(location, name).layers
    return [b"".join(uncompressed(layer.content.pieces())) for layer in layers]


def content_of(location: str, name: str) -> bytes:
    return b"".join(tars_of(location, name))


@pytest.mark.parametrize("name", WASTEFUL)
def test_wasteful_images_unpack_to_the_same_in_the_bytes_that_were_predicted(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    layered.write(folder, {name: WASTEFUL[name]()})
    before = unpacked(f"{folder}:image:0", tmp_path / "before")
    found = rs.slim(f"oci:{folder}", "image:0", "slim")
    assert not found.apply().actual_bytes
    done = found.apply(dry_run=False)
    assert_same(before, unpacked(f"{folder}:image:slim", tmp_path / "after"))
    assert done.actual_bytes == found.size_after == done.predicted_bytes
    assert found.size_before - found.size_after == found.layers["saved"].sum() > 50_000
    snap = layered.read(folder)
    assert rs.waste(snap, "image:slim")["bytes"].sum() == 0
    dropped = rs.waste(snap, "image:0")["bytes"].sum()
    assert dropped <= found.layers["bytes_dropped"].sum()


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hand made") / "layout"
    layered.write(folder, HAND_MADE)
    return folder


@pytest.mark.parametrize("corner", [corner for corner in HAND_MADE if corner not in UNLIKE_UMOCI])
def test_corners_unpack_to_the_same(corner: str, hand_made: Path, tmp_path: Path) -> None:
    name = layered.named(HAND_MADE)[corner]
    target = f"oci:{tmp_path / 'slim'}"
    rs.slim(f"oci:{hand_made}", name, "image:slim").apply(target, dry_run=False)
    before = unpacked(f"{hand_made}:{name}", tmp_path / "before")
    assert_same(before, unpacked(f"{tmp_path / 'slim'}:image:slim", tmp_path / "after"))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(folder_model.layers)
def test_drawn_images_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, layers: list[folder_model.Layer]
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    layered.write(folder, {"one": [folder_model.tar_of(layer) for layer in layers]})
    slimmed(folder)
    snap = layered.read(folder)
    before, after = rs.final_files(snap, "image:0"), rs.final_files(snap, "image:slim")
    for files in (before, after):
        files["names"] = files.groupby("inode")["path"].transform("min")
    told = [column for column in before if column not in ("layer", "layer_digest", "inode")]
    assert before[told].equals(after[told])


def test_the_config_differs_in_its_layers_and_history_alone(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": upgraded()})
    slimmed(tmp_path)
    before, after = (config_of(f"oci:{tmp_path}", name) for name in ("image:0", "image:slim"))
    assert {key: value for key, value in before.items() if key not in ("rootfs", "history")} == {
        key: value for key, value in after.items() if key not in ("rootfs", "history")
    }
    steps = [{key: value for key, value in step.items() if key != "empty_layer"} for step in after["history"]]
    assert steps[:-1] == before["history"]
    assert steps[-1]["created_by"] == "regscope slim"
    assert len(after["rootfs"]["diff_ids"]) == 2  # the whiteout is all that was in the third
    assert [bool(step.get("empty_layer")) for step in after["history"]] == [False, False, True, True]


def test_a_layer_that_loses_nothing_stays_the_blob_that_it_is(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": [*upgraded(), tar(entry("own"))]})
    found = slimmed(tmp_path)
    same = found.layers["digest"] == found.layers["new_digest"]
    assert same.tolist() == [False, False, False, True]
    assert found.layers["entries_dropped"].tolist() == [10, 2, 1, 0]


def test_a_layer_to_leave_that_is_not_there_is_told(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": upgraded()})
    with pytest.raises(InvalidInput, match="has no layer sha256:0"):
        rs.slim(f"oci:{tmp_path}", "image:0", "slim", leave=["sha256:0"])


@pytest.mark.parametrize("kind", ["packages", "documents", "python", "wheel"])
def test_real_files_that_are_changed_as_builds_do(kind: str, tmp_path: Path) -> None:
    layered.write(tmp_path / "layout", {kind: real_images()[f"{kind}, all of it"]})
    found = slimmed(tmp_path / "layout")
    assert found.layers["entries_dropped"].sum() > 50
    before = unpacked(f"{tmp_path / 'layout'}:image:0", tmp_path / "before")
    assert_same(before, unpacked(f"{tmp_path / 'layout'}:image:slim", tmp_path / "after"))


@pytest.mark.parametrize(
    ("kind", "compression"), [(OCI_LAYER, "none"), (OCI_LAYER_ZSTD, "zstd"), (OCI_LAYER_GZIP, "gzip")]
)
def test_layers_are_compressed_as_they_were(kind: str, compression: Stored, tmp_path: Path) -> None:
    with LayoutWriter(tmp_path) as writer:
        layers = []
        for content in upgraded():
            blob = writer.blob(b"".join(compressed([content], compression)), kind, annotations={"toc": "of files"})
            layers.append(Layer(blob, Digest.of(content), "made"))
        writer.tag("image:0", writer.image(layers, created=layered.CREATED))
    found = slimmed(tmp_path)
    image = Image.read(f"oci:{tmp_path}", "image:slim")
    for layer in image.layers:
        assert layer.descriptor.mediaType == kind
        assert not layer.descriptor.annotations
        assert compression_of(next(iter(layer.content.pieces()))[:4]) == compression
    assert "such as an index of their files, are dropped" in repr(found)
    dropped = found.layers["bytes_dropped"].sum()
    assert len(content_of(f"oci:{tmp_path}", "image:0")) - dropped >= len(content_of(f"oci:{tmp_path}", "image:slim"))


def test_without_a_history_a_layer_that_loses_everything_stays_as_an_empty_one(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": upgraded()})
    source = f"oci:{tmp_path}"
    image = Image.read(source, "image:0")
    image.with_layers(image.layers, []).write(source, "image:1")
    slimmed(tmp_path, "image:1")
    assert [len(rows_of(tar)) for tar in tars_of(source, "image:slim")] == [13, 10, 0]
    assert config_of(source, "image:slim")["history"] == []


@pytest.mark.parametrize("is_known", [False, True])
def test_a_damaged_layer_is_an_error_also_where_its_files_are_known(is_known: bool, tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": upgraded()})
    if is_known:
        layered.read(tmp_path)
    blob = Image.read(f"oci:{tmp_path}", "image:0").layers[0].descriptor.digest
    path = tmp_path / "blobs" / blob.replace(":", "/")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RegscopeError, match=r"damaged|hash to"):
        rs.slim(f"oci:{tmp_path}", "image:0", "slim")


def test_it_goes_into_an_archive(tmp_path: Path) -> None:
    layered.write(tmp_path / "layout", {"one": upgraded()})
    found = rs.slim(f"oci:{tmp_path / 'layout'}", "image:0", "slim")
    done = found.apply(f"docker-archive:{tmp_path / 'saved.tar'}", dry_run=False)
    assert rs.open(done.location).resolve("image", "slim") == found.digest


def test_what_is_dropped_is_nowhere_in_the_new_layers(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": secret()})
    slimmed(tmp_path)
    assert noise(3000, 6) in content_of(f"oci:{tmp_path}", "image:0")
    assert noise(3000, 6) not in content_of(f"oci:{tmp_path}", "image:slim")


def test_what_stays_is_copied_byte_for_byte(tmp_path: Path) -> None:
    everywhere = pax(("comment", b"about all"), flag=b"g")
    kept = pax(("SCHILY.xattr.user.a", b"\0\xff"), ("path", b"kept")) + block_entry("short", b"1" * 700)
    long = header("././@LongLink", 200, b"L", magic=b"ustar  \0") + padded(b"n" * 200) + block_entry("n" * 100, b"2")
    gone = pax(("mtime", b"1.5")) + block_entry("gone", b"3" * 600)
    end = bytes(10240)
    layered.write(tmp_path, {"one": [everywhere + kept + gone + long + end, tar(entry(".wh.gone", content=b""))]})
    slimmed(tmp_path)
    assert content_of(f"oci:{tmp_path}", "image:slim") == everywhere + kept + long + end


def test_a_header_about_all_that_follow_stays_where_its_neighbour_goes(tmp_path: Path) -> None:
    everywhere = pax(("comment", b"about all"), flag=b"g")
    lower = pax(("mtime", b"1.5")) + everywhere + block_entry("gone") + block_entry("kept") + END
    layered.write(tmp_path, {"one": [lower, tar(entry(".wh.gone", content=b""))]})
    slimmed(tmp_path)
    assert content_of(f"oci:{tmp_path}", "image:slim") == everywhere + block_entry("kept") + END


def test_the_same_image_gives_the_same_digest(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": owned()})
    first, second = (rs.slim(f"oci:{tmp_path}", "image:0", "slim") for _ in range(2))
    assert first.digest == second.digest
    assert rs.slim(f"oci:{tmp_path}", f"image@{first.tree.before.digest}", "slim").digest == first.digest


def test_an_image_without_waste_stays_what_it_is(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": [tar(entry("a")), tar(entry("b"))]})
    found = slimmed(tmp_path)
    assert not found.is_changed
    assert "Nothing has to be done" in repr(found)
    store = rs.open(f"oci:{tmp_path}")
    assert store.resolve("image", "slim") == store.resolve("image", "0")


def test_layers_can_be_left_whole(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": upgraded()})
    base = rs.slim(f"oci:{tmp_path}", "image:0", "slim").layers["digest"][0]
    found = slimmed(tmp_path, leave=[base])
    assert found.layers["entries_dropped"].tolist() == [0, 2, 1]
    assert rs.slim(f"oci:{tmp_path}", "image:0", "x", at_least=10**9).is_changed is False


def test_a_tag_that_is_there_is_not_moved_unless_that_is_wanted(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": owned(), "two": secret()})
    store = rs.open(f"oci:{tmp_path}")
    known = store.resolve("image", "1")
    found = rs.slim(store, "image:0", "1")
    for dry_run in (True, False):
        with pytest.raises(InvalidInput, match="would be replaced: image:1"):
            found.apply(dry_run=dry_run)
    assert store.resolve("image", "1") == known
    found.apply(dry_run=False, overwrite=True)
    assert store.resolve("image", "1") == found.digest


def test_an_original_that_has_moved_is_noticed(tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": owned(), "two": secret()})
    found = rs.slim(f"oci:{tmp_path}", "image:0", "slim")
    rs.copy(f"oci:{tmp_path}", "image:1", f"oci:{tmp_path}", "image:0", overwrite=True)
    with pytest.raises(RegscopeError, match="points to another image now"):
        found.apply(dry_run=False)
    assert rs.open(f"oci:{tmp_path}").tags("image") == ["0", "1"]


@pytest.mark.parametrize("tag", ["", "a b", "x@sha256:" + "0" * 64, "-x"])
def test_a_new_name_that_is_none_is_refused(tag: str, tmp_path: Path) -> None:
    layered.write(tmp_path, {"one": [tar(entry("a"))]})
    with pytest.raises(InvalidInput):
        rs.slim(f"oci:{tmp_path}", "image:0", tag)


def test_a_layer_that_is_not_stored_is_refused(tmp_path: Path) -> None:
    with LayoutWriter(tmp_path) as writer:
        layer = writer.layer(tar(entry("a")), "ADD a", DOCKER_FOREIGN_LAYER)
        writer.tag("image:0", writer.image([layer], created=layered.CREATED))
    with pytest.raises(InvalidInput, match="its content cannot be read"):
        rs.slim(f"oci:{tmp_path}", "image:0", "slim")


@pytest.fixture
def own_registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as server:
        yield server


def pushed(server: Registry, folder: Path, images: dict[str, Sequence[bytes]]) -> None:
    layered.write(folder, images)
    rs.copy(f"oci:{folder}", "image:*", server.url, progress=False)


def test_the_registry_grows_by_what_was_predicted_and_skopeo_pulls_what_was_pushed(
    own_registry: Registry, tmp_path: Path
) -> None:
    pushed(own_registry, tmp_path / "layout", {"one": upgraded(), "two": [upgraded()[0], tar(entry("x"))]})
    store = rs.open(own_registry.url, cache=False)
    snap = rs.scan(store, progress=False)
    found = rs.slim(store, "image:0", "slim", snap=snap)
    assert found.layers["shared_with"].tolist() == [1, 0, 0]
    before = own_registry.blob_bytes()
    done = found.apply(dry_run=False)
    assert found.registry is not None
    assert own_registry.blob_bytes() - before == found.registry.added_bytes
    assert done.actual_bytes == found.size_after
    skopeo(
        "copy", "--src-tls-verify=false", f"docker://{own_registry.host}/image:slim", f"oci:{tmp_path / 'pulled'}:slim"
    )
    after = unpacked(f"{tmp_path / 'pulled'}:slim", tmp_path / "after")
    assert_same(unpacked(f"{tmp_path / 'layout'}:image:0", tmp_path / "before"), after)


@pytest.mark.parametrize("is_shared", [False, True])
def test_once_the_original_is_deleted_as_many_bytes_come_back_as_was_predicted(
    is_shared: bool, own_registry: Registry, tmp_path: Path
) -> None:
    base = owned()[0] if is_shared else tar(entry("other"))
    pushed(own_registry, tmp_path / "layout", {"one": owned(), "two": [base, tar(entry("x"))]})
    store = rs.open(own_registry.url, cache=False)
    found = rs.slim(store, "image:0", "slim", snap=rs.scan(store, progress=False))
    found.apply(dry_run=False)
    before = own_registry.blob_bytes()
    open_removal(store).delete_manifest("image", found.tree.before.digest)
    own_registry.stop()
    own_registry.garbage_collect()
    assert found.registry is not None
    assert before - own_registry.blob_bytes() == found.registry.freed_bytes
    assert (found.registry.freed_bytes > 500_000) is not is_shared


def test_layers_that_umoci_made(tmp_path: Path) -> None:
    def umoci(*arguments: object) -> None:
        subprocess.run(["umoci", *map(str, arguments)], check=True, capture_output=True, timeout=120)

    layout = tmp_path / "layout"
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:image:0")
    rootless = () if os.getuid() == 0 else ("--rootless",)
    for number, (name, size) in enumerate([("large", 400_000), ("small", 10), ("other", 2000)]):
        bundle = tmp_path / f"bundle{number}"
        umoci("unpack", *rootless, "--image", f"{layout}:image:0", bundle)
        root = bundle / "rootfs"
        (root / "data").mkdir(exist_ok=True)
        (root / "data" / "file").write_bytes(noise(size, number))
        (root / "data" / name).write_bytes(noise(size, 9 + number))
        if number == 2:
            (root / "data" / "large").unlink()
        umoci("repack", "--image", f"{layout}:image:0", bundle)
    before = unpacked(f"{layout}:image:0", tmp_path / "before")
    found = slimmed(layout)
    assert found.size_before - found.size_after > 790_000
    assert_same(before, unpacked(f"{layout}:image:slim", tmp_path / "after"))


def test_its_tar_must_read_as_the_table_says(tmp_path: Path) -> None:
    volume = header("label", 0, b"V") + block_entry("gone", b"1") + END
    layered.write(tmp_path, {"one": [volume, tar(entry(".wh.gone", content=b""))]})
    with pytest.raises(RegscopeError, match="cannot be rewritten: it has 2 entries to `tarfile`, and 1 to regscope"):
        rs.slim(f"oci:{tmp_path}", "image:0", "slim")
