"""A name that is there and means something else is moved only when that is said; what is the same is no matter."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.stores.content_store import ContentStore
from tests.servers.places import Places

KINDS = ["layout", "docker-registry", "oci-registry", "oci-archive", "docker-archive"]


@pytest.fixture
def store(layout: Path) -> ContentStore:
    """The layout of `tests.lab.images`."""
    return rs.open(f"oci:{layout}", cache=False)


@pytest.fixture
def where(place: Places, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An empty place of each kind."""
    kind: str = request.param
    return f"{kind}:{tmp_path / 'saved.tar'}" if kind.endswith("archive") else place(kind)


@pytest.mark.parametrize("where", KINDS, indirect=True)
def test_a_tag_that_means_something_else_is_moved_only_with_overwrite(
    store: ContentStore, where: str, tmp_path: Path
) -> None:
    first, second = (store.resolve("base", "1"), store.resolve("app", "1.0"))
    for _ in range(2):  # the same again is no matter
        rs.copy(store, "base:1", where, "team/x:1", progress=False)
    before = rs.open(where, cache=False).stored_blobs()
    with pytest.raises(InvalidInput, match="has content already that would be replaced: team/x:1") as caught:
        rs.copy(store, "app:1.0", where, "team/x:1", progress=False)
    assert first[7:19] in caught.value.message
    assert "overwrite=True" in caught.value.next_step
    there = rs.open(where, cache=False)
    assert there.resolve("team/x", "1") == first
    assert there.stored_blobs() == before
    assert list(tmp_path.glob("*.unfinished")) == []
    rs.copy(store, "app:1.0", where, "team/x:1", overwrite=True, progress=False)
    assert rs.open(where, cache=False).resolve("team/x", "1") == second


@pytest.mark.parametrize("where", KINDS[:3], indirect=True)
def test_of_several_names_those_that_are_in_the_way_are_named(store: ContentStore, where: str) -> None:
    rs.copy(store, ["base:1", "base:stable"], where, progress=False)
    rs.copy(store, "app:1.0", where, "base:1", overwrite=True, progress=False)
    with pytest.raises(InvalidInput, match=r"would be replaced: base:1 \(\w+\); nothing was written"):
        rs.copy(store, "base:*", where, progress=False)
    rs.copy(store, "base:stable", where, progress=False)


@pytest.mark.parametrize("where", KINDS[3:], indirect=True)
def test_an_archive_is_replaced_by_one_that_has_all_that_it_had(store: ContentStore, where: str) -> None:
    rs.copy(store, "base:1", where, "library/base:1", progress=False)
    with pytest.raises(InvalidInput, match="base:1"):
        rs.copy(store, "app:1.0", where, progress=False)
    names = ["app:1.0", "base:1"]
    rs.copy(store, names, where, "library/", progress=False)
    found = rs.open(where)
    assert [repository.rpartition("/")[2] for repository in found.repositories()] == ["app", "base"]


def test_an_archive_keeps_what_has_no_tag(store: ContentStore, tmp_path: Path) -> None:
    where = f"oci-archive:{tmp_path / 'a.tar'}"
    digest = store.resolve("base", "1")
    for _ in range(2):
        rs.copy(store, f"base@{digest}", where, progress=False)
    with pytest.raises(InvalidInput, match=f"base@{digest}"):
        rs.copy(store, "app:1.0", where, progress=False)


@pytest.mark.parametrize("where", KINDS[:3], indirect=True)
def test_an_index_of_itself_and_an_image_move_a_tag_only_with_overwrite(store: ContentStore, where: str) -> None:
    rs.copy(store, "base:1", where, "x:1", progress=False)
    image = rs.Image.read(store, "app:1.0")
    with pytest.raises(InvalidInput, match="x:1"):
        image.write(where, "x:1")
    assert image.write(where, "x:1", overwrite=True) == rs.open(where, cache=False).resolve("x", "1")
    assert image.write(where, "x:1") == image.digest
    with pytest.raises(InvalidInput, match="x:1"):
        rs.make_index(where, ["x:1"], where, "x:1")
    index = rs.make_index(where, ["x:1"], where, "x:1", overwrite=True)
    assert rs.make_index(where, ["x:1"], where, "x:1") == index


@pytest.mark.parametrize("where", KINDS[:4], indirect=True)
def test_all_of_a_store_is_copied_again_without_a_word(store: ContentStore, where: str) -> None:
    first, again = (rs.copy(store, "*:*", where, referrers=True, progress=False) for _ in range(2))
    assert again.images == first.images
    assert again.sent == 0 or where.startswith("oci-archive:")  # which is written anew
