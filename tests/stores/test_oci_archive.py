"""OCI archives: what skopeo, tar and a builder write, what regscope writes, and what nobody should."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

import regscope as rs
from regscope.errors import ContentMissing, DigestMismatch, InvalidInput, NotAStore, RegscopeError, TooLarge
from regscope.spec.descriptor import Descriptor
from regscope.spec.manifest import ImageManifest
from regscope.stores import tar_members
from regscope.stores.content_store import ContentStore
from regscope.stores.docker_archive import DockerArchiveStore
from regscope.stores.oci_archive import OCIArchiveStore
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.removal import open_removal
from tests.images.test_copying import everything_below
from tests.lab.archives import new_form, old_form
from tests.lab.images import TAGS, skopeo

Packing = Callable[[bytes], bytes]
PACKINGS: dict[str, Packing] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def write_tar(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def files_of(folder: Path) -> list[tuple[str, bytes]]:
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.fixture(scope="module")
def tarred(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of `tests.lab.images`, as `tar` packs it: with folders, and `./` before each name."""
    path = tmp_path_factory.mktemp("tarred") / "layout.tar"
    subprocess.run(["tar", "-C", str(layout), "-cf", str(path), "."], check=True, timeout=60)
    return path


def assert_the_same(found: ContentStore, layout: Path) -> None:
    store = OCILayoutStore(layout)
    assert found.repositories() == store.repositories()
    for repository, tags in TAGS.items():
        assert found.tags(repository) == store.tags(repository)
        for tag in tags:
            assert everything_below(found, repository, tag) == everything_below(store, repository, tag)


def test_it_holds_what_the_layout_holds(tarred: Path, layout: Path, images: dict[str, Descriptor]) -> None:
    store = rs.open(f"oci-archive:{tarred}")
    assert isinstance(store, OCIArchiveStore)
    assert store.location == f"oci-archive:{tarred}"
    assert_the_same(store, layout)
    assert store.stored_blobs() == OCILayoutStore(layout).stored_blobs()
    digest = images["app:1.0"].digest
    assert store.referrers("app", digest) == OCILayoutStore(layout).referrers("app", digest)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_compressed_one_is_read(tarred: Path, layout: Path, tmp_path: Path, packing: str) -> None:
    """Each that skopeo reads."""
    path = tmp_path / "layout.tar"
    path.write_bytes(PACKINGS[packing](tarred.read_bytes()))
    assert_the_same(OCIArchiveStore(path), layout)
    skopeo("inspect", f"oci-archive:{path}:app:1.0")


def test_small_files_of_a_compressed_one_take_no_pass_of_their_own(
    tarred: Path, tmp_path: Path, images: dict[str, Descriptor], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "layout.tar"
    path.write_bytes(gzip.compress(tarred.read_bytes()))
    store = OCIArchiveStore(path)
    monkeypatch.setattr(tar_members, "_unpacked", lambda file: pytest.fail("unpacked once more"))
    assert store.manifest("app", "1.0").digest == images["app:1.0"].digest


@pytest.mark.parametrize("packing", ["none", *PACKINGS])
def test_a_file_is_read_from_anywhere_on(tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_members, "_SMALL", 10)
    content = bytes(range(256)) * 5000
    path = write_tar(tmp_path / "a.tar", ("first", b"x" * 3000), ("a", content), ("empty", b""), ("small", b"small"))
    path.write_bytes(PACKINGS.get(packing, bytes)(path.read_bytes()))
    members = tar_members.TarMembers(path, "it", first_counts=True)
    for start in (0, 1, 700_000, len(content) - 1, len(content)):
        assert b"".join(members.chunks("a", start)) == content[start:]
    assert (members.read("small", 5), members.read("empty", 0), b"".join(members.chunks("small", 2))) == (
        b"small",
        b"",
        b"all",
    )


def test_what_skopeo_writes_is_read(layout: Path, tmp_path: Path) -> None:
    for name, path in (("team/api:1.0", tmp_path / "whole.tar"), ("1.0", tmp_path / "app.tar")):
        skopeo("copy", "-q", "--all", "--preserve-digests", f"oci:{layout}:team/api:1.0", f"oci-archive:{path}:{name}")
    source = OCILayoutStore(layout)
    for repository, path in (("team/api", tmp_path / "whole.tar"), ("app", tmp_path / "app.tar")):
        store = rs.open(f"oci-archive:{path}")
        assert (store.repositories(), store.tags(repository)) == ([repository], ["1.0"])
        assert everything_below(store, repository, "1.0") == everything_below(source, "team/api", "1.0")


def test_skopeo_reads_what_is_written(layout: Path, tmp_path: Path) -> None:
    where = f"oci-archive:{tmp_path / 'new.tar'}"
    rs.copy(f"oci:{layout}", ["team/api:1.0", "app:1.0"], where)
    skopeo("inspect", f"{where}:app:1.0")
    back = tmp_path / "back"
    skopeo("copy", "-q", "--all", "--preserve-digests", f"{where}:team/api:1.0", f"oci:{back}:team/api:1.0")
    source = OCILayoutStore(layout)
    assert everything_below(OCILayoutStore(back), "team/api", "1.0") == everything_below(source, "team/api", "1.0")


def test_a_copy_arrives_whole_and_leaves_nothing_behind(layout: Path, tmp_path: Path) -> None:
    names = [f"{repository}:{tag}" for repository, tags in TAGS.items() for tag in tags]
    where = f"oci-archive:{tmp_path / 'new.tar'}"
    rs.copy(f"oci:{layout}", names, where)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("new")] == ["new.tar"]
    found, source = rs.open(where), OCILayoutStore(layout)
    for name in names:
        assert everything_below(found, *name.split(":")) == everything_below(source, *name.split(":"))


def test_the_same_images_give_the_same_file(layout: Path, tmp_path: Path) -> None:
    for form in ("oci-archive", "docker-archive"):
        for number in range(3):
            names = ["app:1.*", "base:*"] if number else ["base:*", "app:1.*"]
            rs.copy(f"oci:{layout}", names, f"{form}:{tmp_path / str(number)}")
        assert len({(tmp_path / str(number)).read_bytes() for number in range(3)}) == 1


def test_referrers_and_images_without_a_tag_come_along(
    layout: Path, tmp_path: Path, images: dict[str, Descriptor]
) -> None:
    digest = images["app:1.0"].digest
    where = f"oci-archive:{tmp_path / 'new.tar'}"
    rs.copy(f"oci:{layout}", f"app@{digest}", where, referrers=True)
    store = rs.open(where)
    assert (store.repositories(), store.untagged("app")) == (["app"], [digest])
    assert [entry.digest for entry in store.referrers("app", digest) or ()] == [images["sbom"].digest]
    rs.copy(where, f"app@{digest}", f"oci:{tmp_path / 'back'}", referrers=True)
    back = rs.open(f"oci:{tmp_path / 'back'}")
    assert [entry.digest for entry in back.referrers("app", digest) or ()] == [images["sbom"].digest]


def test_a_copy_that_fails_leaves_the_file_that_was_there(own_layout: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.tar"
    rs.copy(f"oci:{own_layout}", "base:1", f"oci-archive:{path}")
    before = path.read_bytes()
    manifest = OCILayoutStore(own_layout).manifest("app", "1.1").parse()
    assert isinstance(manifest, ImageManifest)
    OCILayoutStore(own_layout).path(manifest.layers[-1].digest).write_bytes(b"damaged")
    with pytest.raises(DigestMismatch):
        rs.copy(f"oci:{own_layout}", "app:1.1", f"oci-archive:{path}", overwrite=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_a_folder_is_not_replaced_by_an_archive(layout: Path, tmp_path: Path, form: str) -> None:
    with pytest.raises(NotAStore, match="is a folder") as caught:
        rs.copy(f"oci:{layout}", "app:1.0", f"{form}:{tmp_path}")
    assert f"oci:{tmp_path}" in caught.value.next_step
    assert not tmp_path.with_name(f"{tmp_path.name}.unfinished").exists()


def test_scan_and_files_and_a_changed_image_are_as_with_the_layout(tarred: Path, layout: Path, tmp_path: Path) -> None:
    store, source = rs.open(f"oci-archive:{tarred}"), rs.open(f"oci:{layout}")
    snaps = [rs.scan(each, progress=False) for each in (store, source)]
    for table in ("tags", "manifests", "placements", "layers", "blobs", "referrers", "problems"):
        found, wanted = (getattr(snap, table) for snap in snaps)
        assert found.astype(str).to_csv() == wanted.astype(str).to_csv()
    files = [rs.scan_files(snap, each, progress=False) for each, snap in zip((store, source), snaps, strict=True)]
    assert len(files[0].files) == len(files[1].files) > 0
    image = rs.Image.read(store, "app:1.0").mutate(env={"A": "b"})
    new = f"oci-archive:{tmp_path / 'new.tar'}"
    assert image.write(new, "app:changed") == rs.open(new).resolve("app", "changed")


def test_nothing_in_it_is_changed(tarred: Path) -> None:
    with pytest.raises(InvalidInput, match="read only"):
        open_removal(f"oci-archive:{tarred}")
    with pytest.raises(InvalidInput, match="nothing can be added"):
        rs.copy(f"oci-archive:{tarred}", "app:1.0", rs.open(f"oci-archive:{tarred}"), "app:2")


def test_it_pickles(tarred: Path) -> None:
    store = OCIArchiveStore(tarred)
    store.repositories()
    copy = pickle.loads(pickle.dumps(store))
    assert copy.manifest("base", "1") == store.manifest("base", "1")
    assert repr(copy) == repr(store)


def test_of_two_members_with_one_name_the_last_counts_as_where_it_is_unpacked(layout: Path, tmp_path: Path) -> None:
    files = dict(files_of(layout))
    index = files.pop("index.json")
    again = index.replace(b'"app:1.0"', b'"app:9.9"')
    path = write_tar(tmp_path / "a.tar", ("index.json", index), *files.items(), ("index.json", again))
    assert "9.9" in OCIArchiveStore(path).tags("app")
    skopeo("inspect", f"oci-archive:{path}:app:9.9")


def test_an_archive_that_is_replaced_is_read_anew(tarred: Path, layout: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tarred.read_bytes())
    store = OCIArchiveStore(path)
    assert "app" in store.repositories()
    rs.copy(f"oci:{layout}", "base:1", f"oci-archive:{path}", overwrite=True)
    assert (store.repositories(), store.tags("base")) == (["base"], ["1"])
    assert everything_below(store, "base", "1")
    path.unlink()
    with pytest.raises(NotAStore, match="no such file"):
        store.repositories()


# Damage


def test_a_flipped_byte_is_noticed(tarred: Path, tmp_path: Path, images: dict[str, Descriptor]) -> None:
    blob = OCIArchiveStore(tarred).read_blob("base", images["base:1"].digest, 10**6)
    path = tmp_path / "a.tar"
    content = bytearray(tarred.read_bytes())
    content[content.index(blob) + len(blob) // 2] ^= 1
    path.write_bytes(content)
    store = OCIArchiveStore(path)
    for ask in (lambda: store.manifest("base", "1"), lambda: list(store.blob("base", images["base:1"].digest))):
        with pytest.raises(DigestMismatch):
            ask()
    assert store.manifest("app", "1.0")


@pytest.mark.parametrize("packing", ["none", "gzip", "zstd"])
def test_a_truncated_one_is_said(tarred: Path, layout: Path, tmp_path: Path, packing: str) -> None:
    content = PACKINGS.get(packing, bytes)(tarred.read_bytes())
    path = tmp_path / "a.tar"
    for part in range(20):
        path.write_bytes(content[: len(content) * part // 20])
        with pytest.raises(RegscopeError) as caught:
            assert_the_same(OCIArchiveStore(path), layout)
        assert caught.value.next_step


def test_sizes_and_counts_are_bounded(tarred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = OCIArchiveStore(tarred)
    with pytest.raises(TooLarge):
        store.read_blob("base", store.resolve("base", "1"), 10)
    monkeypatch.setattr(tar_members, "_MOST_MEMBERS", 5)
    with pytest.raises(NotAStore, match="more than 5 files"):
        OCIArchiveStore(tarred)
    monkeypatch.undo()
    packed = tmp_path / "packed.tar"
    packed.write_bytes(gzip.compress(tarred.read_bytes()))
    monkeypatch.setattr(tar_members, "_MOST_UNPACKED", 2000)
    with pytest.raises(NotAStore, match="2,000 bytes"):
        OCIArchiveStore(packed)


@pytest.mark.parametrize("packing", ["none", "gzip"])
def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path, packing: str) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**31
    path = tmp_path / "a.tar"
    path.write_bytes(PACKINGS.get(packing, bytes)(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2**20)))
    with pytest.raises(NotAStore, match="a header of"):
        OCIArchiveStore(path)


@pytest.mark.parametrize("way", ["symlink", "absolute", "hardlink", "loop"])
def test_nothing_outside_of_it_is_read(layout: Path, tmp_path: Path, way: str, images: dict[str, Descriptor]) -> None:
    digest = images["base:1"].digest
    name = f"blobs/sha256/{digest.encoded}"
    (tmp_path / "outside").write_bytes((layout / name).read_bytes())
    target = {"symlink": "../../outside", "absolute": str(tmp_path / "outside"), "loop": digest.encoded}
    link = tarfile.TarInfo(name)
    link.type = tarfile.LNKTYPE if way == "hardlink" else tarfile.SYMTYPE
    link.linkname = target.get(way, str(tmp_path / "outside"))
    path = write_tar(tmp_path / "a.tar", *[file for file in files_of(layout) if file[0] != name])
    with tarfile.open(path, "a") as archive:
        archive.addfile(link)
    with pytest.raises(ContentMissing):
        OCIArchiveStore(path).manifest("base", "1")


# What it is


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240, b"\x1f\x8b\x08\0garbage", b"BZhx", b"PK\3\4"])
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for wrong in (path, tmp_path, tmp_path / "missing"):
        with pytest.raises(NotAStore, match="is not an oci-archive") as caught:
            OCIArchiveStore(wrong)
        assert "skopeo copy" in caught.value.next_step


def test_another_kind_of_archive_is_told_what_to_write(tarred: Path, tmp_path: Path) -> None:
    docker = old_form(tmp_path / "docker.tar")
    for ask, hint in (
        (lambda: OCIArchiveStore(docker), f"docker-archive:{docker}"),
        (lambda: DockerArchiveStore(tarred), f"oci-archive:{tarred}"),
        (lambda: OCILayoutStore(tarred), f"oci-archive:{tarred}"),
        (lambda: rs.open(str(tarred)), f"oci-archive:{tarred}"),
        (lambda: rs.open(str(docker)), f"docker-archive:{docker}"),
    ):
        with pytest.raises(RegscopeError) as caught:
            ask()
        assert hint in caught.value.next_step


def test_one_that_is_both_opens_as_both(layout: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.tar"
    rs.copy(f"oci:{layout}", "app:1.0", f"docker-archive:{path}")
    one, other = rs.open(f"docker-archive:{path}"), rs.open(f"oci-archive:{path}")
    assert one.resolve("app", "1.0") == other.resolve("app", "1.0")
    assert json.loads(one.manifest("app", "1.0").raw) == json.loads(other.manifest("app", "1.0").raw)
    with pytest.raises(NotAStore, match="it has no oci-layout"):
        OCIArchiveStore(write_tar(tmp_path / "neither.tar", ("a", b"b")))
    assert new_form(tmp_path / "docker-25.tar")
    assert rs.open(f"oci-archive:{tmp_path / 'docker-25.tar'}").repositories() == []
