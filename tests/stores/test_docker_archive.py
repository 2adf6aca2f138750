"""Docker-archives: what skopeo and docker write, and what nobody should."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regscope.errors import (
    ContentMissing,
    DigestMismatch,
    InvalidConfig,
    NotAStore,
    RegscopeError,
    TooLarge,
)
from regscope.spec.digest import Digest
from regscope.spec.json_forms import compact
from regscope.spec.manifest import Manifest, ManifestSchema2
from regscope.spec.media_types import (
    DOCKER_LAYER,
    DOCKER_LAYER_TAR,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from regscope.stores.content_store import ContentStore
from regscope.stores.docker_archive import DockerArchiveStore
from tests.lab.archives import LAYERS, config_of, digest_of, image, link, new_form, old_form, write

Form = Callable[[Path], Path]


def reads_whole_or_fails(folder: Path, content: bytes) -> bool:
    """Whether an archive gives its true layers; the only other way is an error of ours."""
    path = folder / "damaged"
    path.write_bytes(content)
    try:
        store = DockerArchiveStore(path)
        assert store.repositories()
        found = layers_of(store, "app", "2")
    except RegscopeError:
        return False
    assert found == list(LAYERS)
    return True


def parsed(store: ContentStore, repository: str, reference: str) -> ManifestSchema2:
    manifest: Manifest = store.manifest(repository, reference).parse()
    assert isinstance(manifest, ManifestSchema2)
    return manifest


def layers_of(store: ContentStore, repository: str, reference: str) -> list[bytes]:
    manifest = parsed(store, repository, reference)
    return [b"".join(store.blob(repository, layer.digest)) for layer in manifest.layers]


def test_what_skopeo_writes_is_read(archive: Path) -> None:
    store = DockerArchiveStore(archive)
    assert store.repositories() == ["app", "localhost:5000/team/app"]
    assert (store.tags("app"), store.tags("localhost:5000/team/app")) == (["1.0"], ["stable"])
    assert store.resolve("app", "1.0") == store.resolve("localhost:5000/team/app", "stable")
    manifest = parsed(store, "app", "1.0")
    for layer in manifest.layers:
        assert Digest.of(b"".join(store.blob("app", layer.digest))) == layer.digest
        assert store.blob_size("app", layer.digest) == layer.size
    assert store.referrers("app", manifest.digest) is None
    assert store.untagged("app") == []
    assert store.location == f"docker-archive:{archive}"


def test_the_old_form_follows_links_within_the_archive(tmp_path: Path) -> None:
    store = DockerArchiveStore(old_form(tmp_path / "saved.tar"))
    assert store.repositories() == ["app", "base", "team/app"]
    assert layers_of(store, "app", "2") == list(LAYERS)
    assert layers_of(store, "base", "1") == [LAYERS[0]]
    assert store.resolve("app", "2") == store.resolve("team/app", "2")


def test_the_new_form_is_read(tmp_path: Path) -> None:
    store = DockerArchiveStore(new_form(tmp_path / "saved.tar"))
    assert store.repositories() == ["app", "localhost:5000/app"]
    assert layers_of(store, "app", "2") == list(LAYERS)


@pytest.mark.parametrize("form", [old_form, new_form])
def test_a_compressed_archive_is_read(tmp_path: Path, form: Form) -> None:
    plain = form(tmp_path / "saved.tar")
    packed = tmp_path / "saved.tar.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert layers_of(DockerArchiveStore(packed), "app", "2") == list(LAYERS)


def test_layers_may_be_compressed_one_by_one(tmp_path: Path) -> None:
    packed = gzip.compress(LAYERS[0])
    name = f"blobs/sha256/{digest_of(packed)}"
    path = write(tmp_path / "a.tar", {"c.json": config_of(LAYERS[0]), name: packed}, [image("c.json", [name], "app:1")])
    manifest = parsed(DockerArchiveStore(path), "app", "1")
    assert [layer.mediaType for layer in manifest.layers] == [DOCKER_LAYER]
    assert layers_of(DockerArchiveStore(path), "app", "1") == [packed]
    plain = parsed(DockerArchiveStore(new_form(tmp_path / "b.tar")), "app", "2")
    assert {layer.mediaType for layer in plain.layers} == {DOCKER_LAYER_TAR}


def test_the_same_archive_gives_the_same_digests(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other.tar"
    copy.write_bytes(archive.read_bytes())
    assert DockerArchiveStore(copy).resolve("app", "1.0") == DockerArchiveStore(archive).resolve("app", "1.0")


def test_an_image_without_a_name_is_untagged_under_the_files(tmp_path: Path) -> None:
    path = write(
        tmp_path / "saved.tar", {"c.json": config_of(LAYERS[0]), "l.tar": LAYERS[0]}, [image("c.json", ["l.tar"])]
    )
    store = DockerArchiveStore(path)
    assert (store.repositories(), store.tags("saved")) == (["saved"], [])
    assert layers_of(store, "saved", store.untagged("saved")[0]) == [LAYERS[0]]


def test_an_archive_pickles(archive: Path) -> None:
    store = DockerArchiveStore(archive)
    store.resolve("app", "1.0")
    copy = pickle.loads(pickle.dumps(store))
    assert layers_of(copy, "app", "1.0") == layers_of(store, "app", "1.0")
    assert repr(copy) == repr(store)


def test_what_is_not_there_is_missing(archive: Path) -> None:
    store = DockerArchiveStore(archive)
    nobody = "sha256:" + "0" * 64
    for ask in (
        lambda: store.tags("nothing"),
        lambda: store.resolve("app", "nothing"),
        lambda: store.manifest("app", "nothing"),
        lambda: store.manifest("app", nobody),
        lambda: list(store.blob("app", nobody)),
        lambda: store.read_blob("app", nobody, 10),
        lambda: store.blob_size("app", nobody),
    ):
        with pytest.raises(ContentMissing):
            ask()


def test_a_blob_above_the_limit_is_not_read(archive: Path) -> None:
    store = DockerArchiveStore(archive)
    config = parsed(store, "app", "1.0").config
    assert len(store.read_blob("app", config.digest, config.size)) == config.size
    with pytest.raises(TooLarge):
        store.read_blob("app", config.digest, config.size - 1)


# Damage


@pytest.mark.parametrize("form", [old_form, new_form])
def test_a_flipped_byte_of_a_layer_is_noticed(tmp_path: Path, form: Form) -> None:
    path = form(tmp_path / "saved.tar")
    content = bytearray(path.read_bytes())
    content[content.index(b"appapp")] ^= 1
    path.write_bytes(content)
    store = DockerArchiveStore(path)
    assert store.tags("app") == ["2"]
    with pytest.raises(DigestMismatch) as caught:
        store.manifest("app", "2")
    assert caught.value.next_step


@pytest.mark.parametrize("form", [old_form, new_form])
def test_a_config_that_is_called_by_another_digest_is_read_and_said(tmp_path: Path, form: Form) -> None:
    """As docker, skopeo and crane do, which do not look at the name."""
    path = form(tmp_path / "saved.tar")
    content = bytearray(path.read_bytes())
    content[content.rindex(b'"amd64"') + 1] ^= 1
    path.write_bytes(content)
    store = DockerArchiveStore(path)
    assert layers_of(store, "app", "2") == list(LAYERS)
    (fault,) = store.faults("app")
    assert (fault.reference, fault.what) == ("2", "file name")
    assert parsed(store, "app", "2").config.digest in fault.error.message


@pytest.mark.parametrize("packed", [False, True])
def test_a_layer_that_is_called_by_another_digest_counts_as_what_the_config_says(tmp_path: Path, packed: bool) -> None:
    content = gzip.compress(LAYERS[0]) if packed else LAYERS[0]
    name = "blobs/sha256/" + "0" * 64
    members = {"c.json": config_of(LAYERS[0]), "wrong.json": config_of(LAYERS[1]), name: content}
    images = [image("c.json", [name], "app:1"), image("wrong.json", [name], "wrong:1")]
    store = DockerArchiveStore(write(tmp_path / "a.tar", members, images))
    assert layers_of(store, "app", "1") == [content]
    assert [fault.what for fault in store.faults("app")] == ["file name"]
    with pytest.raises(DigestMismatch):
        store.manifest("wrong", "1")


def test_of_two_members_with_one_name_the_first_counts(tmp_path: Path) -> None:
    """As skopeo and crane have it."""
    path = tmp_path / "a.tar"
    listed = json.dumps([image("c.json", ["l.tar"], "app:1")]).encode()
    members = [("manifest.json", listed), ("c.json", config_of(LAYERS[0])), ("l.tar", LAYERS[0]), ("l.tar", LAYERS[1])]
    with tarfile.open(path, "w") as archive:
        for name, content in [*members, ("manifest.json", b"[]")]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert layers_of(DockerArchiveStore(path), "app", "1") == [LAYERS[0]]


def test_an_image_from_scratch_has_no_layers(tmp_path: Path) -> None:
    listed = [{"Config": "c.json", "RepoTags": ["empty:1"], "Layers": None}]
    store = DockerArchiveStore(write(tmp_path / "a.tar", {"c.json": config_of()}, listed))
    assert parsed(store, "empty", "1").layers == []


# Names


def two_images(path: Path, first: list[str], second: list[str]) -> DockerArchiveStore:
    members = {"a.json": config_of(LAYERS[0]), "b.json": config_of(*LAYERS), "a.tar": LAYERS[0], "b.tar": LAYERS[1]}
    return DockerArchiveStore(
        write(path, members, [image("a.json", ["a.tar"], *first), image("b.json", ["a.tar", "b.tar"], *second)])
    )


@pytest.mark.parametrize("swapped", [False, True])
def test_a_name_with_a_digest_is_an_image_without_a_tag(tmp_path: Path, swapped: bool) -> None:
    names = [["reg.io/x:latest"], ["reg.io/x@sha256:" + "0" * 64]]
    store = two_images(tmp_path / "a.tar", *(reversed(names) if swapped else names))
    tagged, loose = (digest for digest, _ in (reversed(store.images) if swapped else store.images))
    assert (store.repositories(), store.tags("reg.io/x")) == (["reg.io/x"], ["latest"])
    assert (store.resolve("reg.io/x", "latest"), store.untagged("reg.io/x")) == (tagged, [loose])
    (fault,) = store.faults("reg.io/x")
    assert (fault.reference, fault.what) == (loose, "name")
    assert "sha256:" + "0" * 64 in fault.error.message


def test_of_a_name_that_stands_twice_the_first_counts_and_the_other_is_untagged(tmp_path: Path) -> None:
    store = two_images(tmp_path / "a.tar", ["app:1"], ["docker.io/library/app:1", "app:2"])
    first, other = (digest for digest, _ in store.images)
    assert (store.resolve("app", "1"), store.resolve("app", "2")) == (first, other)
    assert store.untagged("app") == []  # it has a tag besides
    store = two_images(tmp_path / "b.tar", ["app:1"], ["app:1"])
    assert (store.resolve("app", "1"), store.untagged("app")) == (first, [other])
    (fault,) = store.faults("app")
    assert fault.reference == "1"
    assert first in fault.error.message
    assert other in fault.error.message


def test_an_image_of_docker_29_keeps_its_own_manifest(tmp_path: Path) -> None:
    """Its index names platforms and an attestation that the archive does not have."""
    packed = gzip.compress(LAYERS[0])
    config = config_of(LAYERS[0])
    own = compact(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": described(config, OCI_CONFIG),
            "layers": [described(packed, OCI_LAYER_GZIP)],
        }
    )
    away = [{**described(name.encode(), OCI_MANIFEST), "platform": {"os": name, "architecture": "x"}} for name in "ab"]
    platforms = compact(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [away[0], described(own, OCI_MANIFEST), away[1]]}
    )
    nested = compact({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [described(platforms, OCI_INDEX)]})
    top = compact({"schemaVersion": 2, "manifests": [described(nested, OCI_INDEX)]})
    blobs = {f"blobs/sha256/{digest_of(content)}": content for content in (config, packed, own, platforms, nested)}
    names = list(blobs)
    path = write(tmp_path / "a.tar", {**blobs, "index.json": top}, [image(names[0], [names[1]], "app:1")])
    store = DockerArchiveStore(path)
    assert store.resolve("app", "1") == f"sha256:{digest_of(own)}"
    assert store.manifest("app", "1").raw == own


def described(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest_of(content)}", "size": len(content)}


def test_one_bad_image_leaves_the_others_readable(tmp_path: Path) -> None:
    members = {
        "good.json": config_of(LAYERS[0]),
        "bad.json": b"{",
        "l.tar": LAYERS[0],
        "lost.json": config_of(LAYERS[1]),
    }
    images = [
        image("bad.json", ["l.tar"], "bad:1"),
        image("good.json", ["l.tar"], "good:1"),
        image("lost.json", ["gone.tar"], "lost:1"),
        image("missing.json", ["l.tar"], "missing:1"),
    ]
    store = DockerArchiveStore(write(tmp_path / "a.tar", members, images))
    assert store.repositories() == ["bad", "good", "lost", "missing"]
    assert layers_of(store, "good", "1") == [LAYERS[0]]
    for name, kind in (("bad", InvalidConfig), ("lost", ContentMissing), ("missing", ContentMissing)):
        for _ in range(2):
            with pytest.raises(kind):
                store.manifest(name, "1")


@pytest.mark.parametrize("form", [old_form, new_form])
@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_archive_is_said(tmp_path: Path, form: Form, packed: bool) -> None:
    content = form(tmp_path / "saved.tar").read_bytes()
    content = gzip.compress(content) if packed else content
    found = [reads_whole_or_fails(tmp_path, content[: len(content) * part // 40]) for part in range(41)]
    assert found == sorted(found)  # past some length only padding is lost
    assert (found[10], found[-1]) == (False, True)


@pytest.mark.parametrize("form", [old_form, new_form])
def test_damage_to_a_compressed_archive_never_changes_what_is_read(tmp_path: Path, form: Form) -> None:
    content = gzip.compress(form(tmp_path / "saved.tar").read_bytes())
    positions = range(10, len(content) - 8, len(content) // 60)
    flipped = [content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :] for at in positions]
    found = [reads_whole_or_fails(tmp_path, damaged) for damaged in flipped]
    assert False in found


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240, b"\x1f\x8b\x08\0garbage", b"PK\3\4" + b"x" * 600])
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NotAStore) as caught:
        DockerArchiveStore(path)
    assert "docker save" in caught.value.next_step


def test_a_folder_or_nothing_is_no_archive(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NotAStore):
            DockerArchiveStore(path)


@pytest.mark.parametrize(
    "listed",
    [
        {},
        [1],
        [{}],
        [{"Config": 1, "Layers": []}],
        [{"Config": "c", "Layers": "l"}],
        [{"Config": "c", "Layers": [1]}],
        [{"Config": "c", "Layers": [], "RepoTags": 7}],
        [{"Config": "c", "Layers": [], "RepoTags": [7]}],
    ],
)
def test_a_list_of_images_that_is_none_is_said(tmp_path: Path, listed: object) -> None:
    with pytest.raises(NotAStore, match=r"manifest\.json"):
        DockerArchiveStore(write(tmp_path / "a.tar", {}, listed))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_list_of_images_that_is_no_json_is_said(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(NotAStore, match=r"manifest\.json"):
        DockerArchiveStore(write(tmp_path / "a.tar", {"manifest.json": raw}))


# Nothing outside of the archive is read


@pytest.mark.parametrize("way", ["name", "member", "symlink", "absolute", "hardlink", "chain", "folder"])
def test_nothing_outside_the_archive_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    outside = tmp_path / "outside.tar"
    outside.write_bytes(LAYERS[0])
    monkeypatch.chdir(tmp_path)
    escape = f"../{outside.parent.name}/outside.tar"
    name, members = {
        "name": (escape, {}),
        "member": ("in.tar", {escape: b"another file", "in.tar": link(escape)}),
        "symlink": ("in.tar", {"in.tar": link("outside.tar")}),
        "absolute": ("in.tar", {"in.tar": link(str(outside))}),
        "hardlink": ("in.tar", {"in.tar": link(str(outside), tarfile.LNKTYPE)}),
        "chain": ("a", {"a": link("b"), "b": link("a")}),
        "folder": ("x/outside.tar", {"x": link(str(tmp_path))}),
    }[way]
    config = config_of(LAYERS[0])
    path = write(tmp_path / "a.tar", {"c.json": config, **members}, [image("c.json", [name], "app:1")])
    store = DockerArchiveStore(path)
    with pytest.raises((ContentMissing, DigestMismatch)):
        store.manifest("app", "1")
    with pytest.raises(ContentMissing):
        list(store.blob("app", f"sha256:{digest_of(LAYERS[0])}"))


def test_a_config_outside_the_archive_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(config_of(LAYERS[0]))
    members = {"in.json": link(str(tmp_path / "c.json")), "l.tar": LAYERS[0]}
    for name in ("in.json", str(tmp_path / "c.json")):
        store = DockerArchiveStore(write(tmp_path / "a.tar", members, [image(name, ["l.tar"], "app:1")]))
        with pytest.raises(ContentMissing):
            store.manifest("app", "1")
