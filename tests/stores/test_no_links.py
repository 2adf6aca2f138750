"""Copies, and what takes images away, follow no link in a folder that somebody else may have made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import NotAStore, StoreError
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.stores.removal import open_removal

PRECIOUS = "precious"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with a file in it that is to stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "thesis.txt").write_text(PRECIOUS)
    return folder


def assert_untouched(outside: Path) -> None:
    assert [path.name for path in outside.iterdir()] == ["thesis.txt"]
    assert (outside / "thesis.txt").read_text() == PRECIOUS


def link(place: Path, to: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(to)


@pytest.mark.parametrize(
    "name", ["oci-layout", "index.json", "blobs", "blobs/sha256", ".unfinished", "{blob}", "{part}"]
)
def test_nothing_is_copied_through_a_link_in_a_layout(layout: Path, outside: Path, tmp_path: Path, name: str) -> None:
    manifest = rs.open(f"oci:{layout}").resolve("app", "1.0")
    place = tmp_path / "layout"
    rs.copy(f"oci:{layout}", "base:1", f"oci:{place}", progress=False)
    named = name.format(blob=f"blobs/{manifest.replace(':', '/')}", part=f".unfinished/{manifest.replace(':', '-')}")
    link(place / named, outside if name in ("blobs", "blobs/sha256", ".unfinished") else outside / "thesis.txt")
    with pytest.raises(StoreError, match="is a symbolic link") as caught:
        rs.copy(f"oci:{layout}", "app:1.0", f"oci:{place}", progress=False)
    assert caught.value.next_step
    assert_untouched(outside)


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_a_link_where_the_index_is_written_is_not_followed(
    layout: Path, outside: Path, tmp_path: Path, name: str
) -> None:
    place = tmp_path / "layout"
    rs.copy(f"oci:{layout}", "base:1", f"oci:{place}", progress=False)
    link(place / ".unfinished" / name, outside / "thesis.txt")
    rs.copy(f"oci:{layout}", "app:1.0", f"oci:{place}", progress=False)
    assert rs.open(f"oci:{place}").tags("app") == ["1.0"]
    assert_untouched(outside)


def test_a_folder_that_is_reached_by_a_link_is_the_users_own(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "real")
    rs.copy(f"oci:{layout}", "app:1.0", f"oci:{tmp_path / 'here'}", progress=False)
    assert rs.open(f"oci:{tmp_path / 'real'}").tags("app") == ["1.0"]


def test_nothing_is_taken_away_through_a_link(own_layout: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(own_layout / "blobs" / "sha256", elsewhere)
    before = {path.name for path in elsewhere.iterdir()}
    link(own_layout / "blobs" / "sha256", elsewhere)
    store = rs.open(f"oci:{own_layout}")
    with pytest.raises(StoreError, match="is a symbolic link"):
        open_removal(store).delete_manifest("app", store.resolve("app", "1.0"))
    assert {path.name for path in elsewhere.iterdir()} == before


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("suffix", ["", ".part", ".unfinished"])
def test_no_archive_is_written_through_a_link(
    layout: Path, outside: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    target = tmp_path / "app.tar"
    link(tmp_path / f"app.tar{suffix}", outside if suffix == ".unfinished" else outside / "thesis.txt")
    if suffix == ".part":
        rs.copy(f"oci:{layout}", "app:1.0", f"{kind}:{target}", progress=False)
        assert rs.open(f"{kind}:{target}").tags("app") == ["1.0"]
    else:
        with pytest.raises(NotAStore):
            rs.copy(f"oci:{layout}", "app:1.0", f"{kind}:{target}", progress=False)
    assert_untouched(outside)


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_an_archive_replaces_only_an_archive(layout: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "thesis.txt"
    target.write_text(PRECIOUS)
    with pytest.raises(NotAStore, match="was not changed"):
        rs.copy(f"oci:{layout}", "app:1.0", f"{kind}:{target}", progress=False)
    assert target.read_text() == PRECIOUS
    target.write_bytes(b"")
    for image in ("base:1", "app:1.0"):
        rs.copy(f"oci:{layout}", image, f"{kind}:{target}", overwrite=True, progress=False)
    assert rs.open(f"{kind}:{target}").repositories() == ["app"]


def test_a_layout_that_is_called_as_the_workplace_of_an_archive_stays(own_layout: Path, tmp_path: Path) -> None:
    mine = tmp_path / "app.tar.unfinished"
    own_layout.rename(mine)
    before = {path.name: path.read_bytes() for path in mine.rglob("*") if path.is_file()}
    with pytest.raises(NotAStore, match="was not made for this archive"):
        rs.copy(f"oci:{mine}", "app:1.0", f"oci-archive:{tmp_path / 'app.tar'}", progress=False)
    assert {path.name: path.read_bytes() for path in mine.rglob("*") if path.is_file()} == before


def test_a_download_follows_no_link(client: DockerRegistryV2Client, outside: Path, tmp_path: Path) -> None:
    digest = next(
        iter(rs.scan(rs.open(client.api_base_url), repositories="base", progress=False).layers["blob_digest"])
    )
    for name in ("blob", "blob.part"):
        link(tmp_path / name, outside / "thesis.txt")
    Blob("base", digest, tmp_path / "blob", client=client).download()
    assert rs.Digest(digest).matches((tmp_path / "blob").read_bytes())
    assert_untouched(outside)
