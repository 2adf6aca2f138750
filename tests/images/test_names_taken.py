"""A name that is there and means something else is moved only when that is said; what is the same is no matter."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import InvalidInput
from regscope.spec.digest import Digest
from regscope.spec.media_types import OCI_LAYER
from regscope.stores.content_store import ContentStore
from regscope.stores.layout_writer import Layer, LayoutWriter
from tests.servers import faults
from tests.servers.places import Places
from tests.servers.proxy import FaultProxy, Rule

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


def heads(proxy: FaultProxy) -> list[str]:
    """The tags that were asked for since the last look."""
    asked = [each.path for each in proxy.requests if each.method == "HEAD" and "/manifests/" in each.path]
    proxy.requests.clear()
    found = [path.rpartition("/")[2] for path in asked]
    return sorted(tag for tag in found if ":" not in tag)


@pytest.mark.parametrize("hidden", [None, faults.refuse("/tags/list", 403, "DENIED", "not for you")])
def test_of_many_names_only_those_in_the_tag_list_are_asked_for(
    store: ContentStore, place: Places, tmp_path: Path, hidden: Rule | None
) -> None:
    digest = store.resolve("base", "1")
    content = b"x" * 100
    with LayoutWriter(tmp_path / "many") as writer:
        layer = Layer(writer.blob(content, OCI_LAYER), Digest.of(content), "COPY")
        image = writer.image([layer], created="2024-01-01T00:00:00Z")
        for number in range(6):
            writer.tag(f"many:{number}", image)
    source = f"oci:{tmp_path / 'many'}"
    with FaultProxy(place("docker-registry")) as proxy:
        if hidden is not None:
            proxy.rule(hidden)
        rs.copy(source, "many:*", proxy.url, progress=False)
        assert heads(proxy) == ([] if hidden is None else list("012345"))
        rs.copy(store, "base:1", proxy.url, "many:3", overwrite=True, progress=False)
        heads(proxy)
        with pytest.raises(InvalidInput, match=rf"would be replaced: many:3 \({digest[7:19]}\); nothing"):
            rs.copy(source, "many:*", proxy.url, progress=False)
        assert heads(proxy) == list("012345")
