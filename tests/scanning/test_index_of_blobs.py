"""Indexes that name things which are no manifests, as BuildKit's older caches do (`image-manifest=false`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from tests.lab.drawn_registries import Contents, Pushed, build_cache, image, layer
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

SHARED, OWN = layer("shared", 3000), layer("own", 500)
CACHE = build_cache([SHARED, OWN])
IMAGE = image([SHARED], 1)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        Contents(pushes=[("app", "cache", CACHE), ("app", "1", IMAGE), ("app", "2", image([SHARED], 2))]).push_to(
            running.url
        )
        yield running


def stores(registry: Registry) -> list[rs.ContentStore]:
    return [rs.open(registry.url, cache=False), rs.open(f"storage:{registry.storage}", cache=False)]


def test_its_entries_are_blobs_and_never_asked_for_as_manifests(registry: Registry) -> None:
    with FaultProxy(registry.url) as proxy:
        snap = rs.scan(rs.open(proxy.url, cache=False), progress=False)
        asked = {request.path.rpartition("/")[2] for request in proxy.requests if "/manifests/" in request.path}
    assert asked == {"cache", "1", "2"}
    assert snap.problems.empty
    assert snap.platforms.empty


def test_its_layers_are_counted_once_with_those_of_images(registry: Registry) -> None:
    for store in stores(registry):
        snap = rs.scan(store, progress=False)
        assert snap.problems.empty
        sizes = dict(zip(snap.blobs["digest"], snap.blobs["size"], strict=True))
        assert sizes == registry.blob_digests()
        mine = snap.layers[snap.layers["digest"] == CACHE.digest]
        assert mine["size"].tolist() == [3000, 500, len(CACHE.blobs[0])]
        tags = rs.sharing(snap).query("level == 'tag'").set_index("tag")
        assert tags.loc["cache", "exclusive"] == 500 + len(CACHE.blobs[0]) + len(CACHE.raw)


def test_an_image_beside_it_goes_and_the_cache_keeps_what_they_share(registry: Registry, tmp_path: Path) -> None:
    assert_frees_what_it_says(registry, tmp_path, rs.Retention(tags=["1", "2"]))
    left = registry.blob_digests()
    assert {rs.Digest.of(blob) for blob in CACHE.blobs} < set(left)


def test_what_it_alone_names_goes_with_it(registry: Registry, tmp_path: Path) -> None:
    assert_frees_what_it_says(registry, tmp_path, rs.Retention(tags=["cache"]))
    assert rs.Digest.of(OWN) not in registry.blob_digests()
    assert rs.Digest.of(SHARED) in registry.blob_digests()


def assert_frees_what_it_says(registry: Registry, tmp_path: Path, policy: rs.Retention) -> None:
    store = rs.open(registry.url, cache=False)
    snap = rs.scan(rs.open(f"storage:{registry.storage}", cache=False), progress=False)
    before, content = registry.blob_bytes(), registry.blob_digests()
    plan = rs.plan(snap, policy)
    assert len(plan.steps)
    backup = f"oci:{tmp_path / 'backup'}"
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", backup=backup, progress=False)
    assert done.ok, repr(done)
    registry.garbage_collect()
    assert before - registry.blob_bytes() == plan.freed_bytes > 0
    kept = registry.blob_digests()
    assert rs.undo(tmp_path / "journal", store, backup=backup, dry_run=False, progress=False).ok
    assert registry.blob_digests() == content
    registry_again = rs.scan(rs.open(registry.url, cache=False), progress=False)
    assert set(registry_again.tags["tag"]) == {"cache", "1", "2"}
    assert plan.apply(store, dry_run=False, journal=tmp_path / "again", progress=False).ok
    registry.garbage_collect()
    assert registry.blob_digests() == kept


@pytest.mark.parametrize("kind", ["layout", "registry"])
def test_it_is_copied_whole(registry: Registry, tmp_path: Path, kind: str) -> None:
    with Registry(tmp_path / "other") as other:
        target = f"oci:{tmp_path / 'layout'}" if kind == "layout" else other.url
        rs.copy(registry.url, "app:cache", target, progress=False)
        there = rs.open(target, cache=False)
        assert there.manifest("app", "cache").raw == CACHE.raw
        for blob in CACHE.blobs:
            assert there.read_blob("app", rs.Digest.of(blob), 10_000) == blob


def test_a_layout_gives_all_of_it_back(registry: Registry, tmp_path: Path) -> None:
    layout = f"oci:{tmp_path / 'layout'}"
    rs.copy(registry.url, "app:*", layout, progress=False)
    snap = rs.scan(rs.open(layout, cache=False), progress=False)
    plan = rs.plan(snap, rs.Retention(tags=["cache"]))
    files = {path: path.stat().st_size for path in (tmp_path / "layout" / "blobs").rglob("*") if path.is_file()}
    assert plan.apply(rs.open(layout, cache=False), dry_run=False, journal=tmp_path / "journal", progress=False).ok
    freed = sum(size for path, size in files.items() if not path.exists())
    assert freed == plan.freed_bytes == len(CACHE.raw) + len(CACHE.blobs[0]) + 500


def test_an_index_of_unknown_manifests_is_not_taken_for_one_of_blobs(registry: Registry) -> None:
    """What holds an unreadable manifest holds what that one names, whatever that is."""
    raw = CACHE.raw.replace(
        b"application/vnd.buildkit.cacheconfig.v0", b"application/vnd.cncf.oras.artifact.manifest.v1+json"
    )
    Contents(pushes=[("odd", "1", Pushed(raw, CACHE.media_type, CACHE.blobs))]).push_to(registry.url)
    with FaultProxy(registry.url) as proxy:
        proxy.rule(refuse("/odd/manifests/sha256", 404, "MANIFEST_UNKNOWN", "unknown", ["GET", "HEAD"]))
        snap = rs.scan(rs.open(proxy.url, cache=False), repositories="odd", progress=False)
    assert snap.platforms["digest"].tolist() == [rs.Digest.of(CACHE.blobs[0])]


def test_a_registry_that_fails_for_each_of_many_is_waited_for_once(registry: Registry) -> None:
    many = [(f"many-{number}", image([layer(f"{number}", 10)], 1)) for number in range(60)]
    Contents(pushes=[("many", tag, pushed) for tag, pushed in many]).push_to(registry.url)
    with FaultProxy(registry.url) as proxy:
        proxy.rule(refuse("/many/manifests/", 500, "UNKNOWN", "unknown error"))
        snap = rs.scan(rs.open(proxy.url, cache=False, concurrency=2), repositories="many", progress=False)
        tried = [request.path for request in proxy.requests if "/manifests/" in request.path]
    assert len(snap.problems) == 60
    assert len(tried) < 2 * 60 + 30  # each twice, and the first ones until it was clear
