"""Docker-archives: what skopeo and docker write, and what nobody should."""

from __future__ import annotations

import gzip
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

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
from regscope.spec.manifest import Manifest, ManifestSchema2
from regscope.spec.media_types import DOCKER_LAYER, DOCKER_LAYER_TAR
from regscope.stores.content_store import ContentStore
from regscope.stores.docker_archive import DockerArchiveStore
from tests.stores.archives import LAYERS, config_of, digest_of, image, link, new_form, old_form, write

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
@pytest.mark.parametrize("victim", ["layer", "config"])
def test_a_flipped_byte_is_noticed(tmp_path: Path, form: Form, victim: str) -> None:
    path = form(tmp_path / "saved.tar")
    content = bytearray(path.read_bytes())
    position = content.index(b"appapp") if victim == "layer" else content.rindex(b'"amd64"') + 1
    content[position] ^= 1
    path.write_bytes(content)
    store = DockerArchiveStore(path)
    assert store.tags("app") == ["2"]
    with pytest.raises(DigestMismatch) as caught:
        store.manifest("app", "2")
    assert caught.value.next_step


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
