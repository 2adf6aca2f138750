"""OCI image layouts: names, damage, and what umoci writes."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import ContentMissing, DigestMismatch, InvalidDigest, NotAStore, StoreError, TooLarge
from regscope.spec import media_types
from regscope.spec.annotations import REF_NAME
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.json_forms import compact
from regscope.spec.manifest import OCIManifestSchema1
from regscope.spec.referring import fallback_tag
from regscope.stores.layout_writer import Layer, LayoutWriter, fields_of, tar_of
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.removal import open_removal
from tests.lab.images import TAGS, skopeo, write_layout

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


def test_platforms_at_the_top_without_an_index_of_their_own_are_all_there(tmp_path: Path) -> None:
    """As `pack` and ko write a multi-platform image, which skopeo cannot choose from."""
    with LayoutWriter(tmp_path / "mine") as writer:
        made = [writer.image([], created="2024-01-01T00:00:00Z", architecture=name) for name in ("amd64", "arm64")]
        for image in made:
            writer.keep(image)
    store = OCILayoutStore(tmp_path / "mine")
    assert store.untagged("mine") == sorted(image.digest for image in made)
    done = rs.copy(store, "mine@*", f"oci:{tmp_path / 'new'}")
    assert sorted(image.digest for image in done.images) == store.untagged("mine")


def test_referrers_as_regctl_writes_them_are_seen_and_copied(
    pair: tuple[Path, Descriptor, Descriptor], tmp_path: Path
) -> None:
    regctl = shutil.which("regctl") or shutil.which("regctl", path=Path(sys.executable).parent)
    if regctl is None:
        pytest.skip("needs regctl, which is built where there is Go")
    folder, first, other = pair
    write_entries(folder, ("1.0", first), ("team/app:1.0", first), ("2.0", other))
    (tmp_path / "sbom").write_text("an SBOM")
    for kind in ("application/x.sbom", "application/x.signature"):
        command = ["artifact", "put", "--subject", f"ocidir://{folder}:1.0", "--artifact-type", kind]
        subprocess.run([regctl, *command, "-f", str(tmp_path / "sbom")], check=True, capture_output=True, timeout=60)
    store = rs.open(f"oci:{folder}")
    found = store.referrers("mine", first.digest) or []
    assert [entry.artifactType for entry in found] == ["application/x.sbom", "application/x.signature"]
    assert store.referrers("mine", other.digest) == []
    snap = rs.scan(store, progress=False)
    assert set(zip(snap.referrers["subject"], snap.referrers["digest"], strict=True)) == {
        (first.digest, entry.digest) for entry in found
    }
    for number, name in enumerate(("mine:1.0", "team/app:1.0")):
        where = f"oci:{tmp_path / str(number)}"
        rs.copy(store, name, where, referrers=True)
        copied = rs.open(where)
        assert [entry.digest for entry in copied.referrers("", first.digest) or []] == [entry.digest for entry in found]
        assert all(copied.manifest("", entry.digest).raw for entry in found)
    rs.copy(store, "mine:1.0", f"oci-archive:{tmp_path / 'a.tar'}", referrers=True)
    assert len(rs.open(f"oci-archive:{tmp_path / 'a.tar'}").referrers("mine", first.digest) or []) == 2


def test_a_deleted_referrer_goes_from_the_index_of_its_fallback_tag(pair: tuple[Path, Descriptor, Descriptor]) -> None:
    folder, first, _ = pair
    with LayoutWriter(folder) as writer:
        sboms = [writer.artifact(kind, "text/plain", artifact_type="a/b", subject=first) for kind in (b"x", b"y")]
        listed = writer.index(sboms)
        writer.tag("1.0", first)
        writer.tag(fallback_tag(first.digest), listed)
    store = OCILayoutStore(folder)
    removal = open_removal(store)
    removal.delete_manifest("mine", sboms[0].digest)
    assert [entry.digest for entry in store.referrers("mine", first.digest) or []] == [sboms[1].digest]
    for gone in (sboms[0].digest, listed.digest):
        assert not store.path(gone).exists()
    assert store.manifest("mine", sboms[1].digest).raw
    removal.forget_manifest("mine", sboms[1].digest, ())  # what the index names stays
    assert store.manifest("mine", sboms[1].digest).raw


def test_a_referrer_under_both_an_entry_and_a_fallback_tag_is_one(pair: tuple[Path, Descriptor, Descriptor]) -> None:
    folder, first, _ = pair
    with LayoutWriter(folder) as writer:
        sbom = writer.artifact(b"x", "text/plain", artifact_type="a/b", subject=first)
        writer.tag("1.0", first)
        writer.keep(sbom)
        writer.tag(fallback_tag(first.digest), writer.index([sbom]))
    store = OCILayoutStore(folder)
    assert [entry.digest for entry in store.referrers("mine", first.digest) or []] == [sbom.digest]
    assert store.untagged("mine") == []


@pytest.mark.parametrize("odd", [5, "x", [], {"digest": 5}, {"mediaType": "a/b", "size": 1, "digest": "sha256:x"}])
def test_a_docker_manifest_refers_to_nothing_whatever_it_calls_its_subject(tmp_path: Path, odd: Any) -> None:
    with LayoutWriter(tmp_path / "mine") as writer:
        config = writer.blob(b'{"rootfs": {"type": "layers", "diff_ids": []}}', media_types.DOCKER_CONFIG)
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": fields_of(config),
            "layers": [],
        }
        writer.keep(
            writer.blob(compact({**document, "subject": odd, "artifactType": odd}), media_types.DOCKER_MANIFEST)
        )
    store = rs.open(f"oci:{tmp_path / 'mine'}", cache=False)
    [digest] = store.untagged("mine")
    rs.copy(store, f"mine@{digest}", f"oci:{tmp_path / 'copy'}", progress=False)
    copied = rs.open(f"oci:{tmp_path / 'copy'}", cache=False)
    assert copied.manifest("mine", digest).raw == store.manifest("mine", digest).raw
    open_removal(store).delete_manifest("mine", digest)
    assert store.untagged("mine") == []


def write_entries(folder: Path, *entries: tuple[str, Descriptor]) -> OCILayoutStore:
    """A layout with these names in this order, where two of them may be the same."""
    index = {
        "schemaVersion": 2,
        "manifests": [{**fields_of(entry), "annotations": {REF_NAME: name}} for name, entry in entries],
    }
    (folder / "index.json").write_bytes(compact(index))
    return OCILayoutStore(folder)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Descriptor, Descriptor]:
    """A layout of two images without names."""
    folder = tmp_path / "mine"
    with LayoutWriter(folder) as writer:
        first, other = (writer.image([], created=f"202{number}-01-01T00:00:00Z") for number in range(2))
    return folder, first, other


@pytest.mark.parametrize("swapped", [False, True])
def test_a_name_with_a_digest_is_untagged_in_its_repository(
    pair: tuple[Path, Descriptor, Descriptor], swapped: bool
) -> None:
    folder, first, other = pair
    entries = [("reg.io/x:latest", first), (f"reg.io/x@{other.digest}", other)]
    store = write_entries(folder, *(reversed(entries) if swapped else entries))
    assert (store.repositories(), store.tags("reg.io/x")) == (["reg.io/x"], ["latest"])
    assert (store.resolve("reg.io/x", "latest"), store.untagged("reg.io/x")) == (first.digest, [other.digest])
    assert (store.untagged("mine"), store.faults("reg.io/x")) == ([], [])
    snap = rs.scan(store, progress=False)
    placed = snap.placements[["repository", "digest", "found"]].astype(str).itertuples(index=False, name=None)
    assert sorted(placed) == sorted([("reg.io/x", first.digest, "tag"), ("reg.io/x", other.digest, "untagged")])
    assert snap.problems.empty


def test_an_image_that_has_a_tag_is_not_untagged_for_its_digest_in_another_name(
    pair: tuple[Path, Descriptor, Descriptor],
) -> None:
    folder, first, _ = pair
    store = write_entries(folder, (f"x@{first.digest}", first), ("x:1", first), (f"y@{first.digest}", first))
    assert (store.untagged("x"), store.untagged("y")) == ([], [first.digest])


@pytest.mark.parametrize("stated", [NOBODY, "sha256:short", "no:digest"])
def test_a_name_with_the_digest_of_something_else_is_said(
    pair: tuple[Path, Descriptor, Descriptor], stated: str
) -> None:
    folder, first, other = pair
    store = write_entries(folder, (f"x:1@{stated}", first), (f"x@{stated}", other))
    assert (store.tags("x"), store.resolve("x", "1"), store.untagged("x")) == (["1"], first.digest, [other.digest])
    snap = rs.scan(store, progress=False)
    assert sorted(snap.problems["reference"]) == sorted(["1", other.digest])
    assert set(snap.problems["what"]) == {"name"}
    assert snap.problems["error"].str.contains(stated).all()
    assert len(rs.plan(snap, rs.Retention(untagged=True)).steps) == 1  # nothing was unread


def test_of_a_name_that_stands_twice_the_first_counts_as_in_skopeo(pair: tuple[Path, Descriptor, Descriptor]) -> None:
    folder, first, other = pair
    store = write_entries(folder, ("1.0", first), ("1.0", other), ("mine:1.0", first))
    assert (store.resolve("mine", "1.0"), store.untagged("mine")) == (first.digest, [other.digest])
    assert Digest.of(skopeo("inspect", "--raw", f"oci:{folder}:1.0").encode()) == first.digest
    snap = rs.scan(store, progress=False)
    (row,) = snap.problems.to_dict("records")
    assert (row["repository"], row["reference"], row["what"]) == ("mine", "1.0", "name")
    assert first.digest in row["error"]
    assert other.digest in row["error"]
    assert set(snap.placements["digest"]) == {first.digest, other.digest}


def test_a_copy_takes_the_place_of_a_name_however_that_is_written(
    pair: tuple[Path, Descriptor, Descriptor], layout: Path
) -> None:
    folder, first, other = pair
    write_entries(folder, ("1.0", first), ("2.0", other))
    done = rs.copy(f"oci:{layout}", "app:1.0", f"oci:{folder}", "mine:1.0", overwrite=True)
    store = OCILayoutStore(folder)
    assert (store.resolve("mine", "1.0"), store.resolve("mine", "2.0")) == (done.images[0].digest, other.digest)
    assert store.faults("mine") == []


def test_untag_of_a_name_that_stands_twice_loses_neither_image(pair: tuple[Path, Descriptor, Descriptor]) -> None:
    folder, first, other = pair
    store = write_entries(folder, ("x:1", first), ("x:1", other), ("x:2", first))
    open_removal(store).untag("x", "1")
    assert (store.tags("x"), store.untagged("x")) == (["2"], [other.digest])


def test_a_deleted_image_gives_its_name_to_no_other(pair: tuple[Path, Descriptor, Descriptor]) -> None:
    folder, first, other = pair
    store = write_entries(folder, ("x:1", first), ("x:1", other), ("y:1", first))
    open_removal(store).delete_manifest("x", first.digest)
    assert (store.tags("x"), store.untagged("x")) == ([], [other.digest])
    assert store.resolve("y", "1") == first.digest  # another repository keeps it
    assert store.manifest("y", "1").digest == first.digest


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
