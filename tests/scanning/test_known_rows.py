"""A second scan: rows from the cache are the rows that were made, and nothing in the cache is believed blindly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from regscope.registry.client import DockerRegistryV2Client
from regscope.scanning import known_rows
from regscope.scanning.metadata import scan
from regscope.spec.descriptor import Descriptor
from regscope.spec.rate_limit import RateLimit
from regscope.stores.cached_store import CachedStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.registry_store import RegistryStore
from regscope.tables import Snapshot
from tests.servers import faults
from tests.servers.proxy import FaultProxy


@pytest.fixture
def store(proxied: DockerRegistryV2Client, cache_folder: Path) -> Iterator[CachedStore]:
    cache = DigestCache(cache_folder)
    yield CachedStore(RegistryStore(proxied), cache)
    cache.close()


def assert_same(a: Snapshot, b: Snapshot) -> None:
    for name, table in a.tables.items():
        pd.testing.assert_frame_equal(table, b.tables[name], check_categorical=False)


def kept(store: CachedStore) -> list[str]:
    return [key for key in store.cache._cache if "rows " in key]


def test_a_second_scan_makes_the_same_tables_by_one_request_for_each_tag(store: CachedStore, proxy: FaultProxy) -> None:
    first = scan(store)
    assert len(kept(store)) == len(first.manifests)
    proxy.requests.clear()
    assert_same(scan(store), first)
    asked = [request for request in proxy.requests if "/manifests/" in request.path or "/blobs/" in request.path]
    assert {(request.method, request.status) for request in asked} == {("GET", 304)}
    assert len(asked) == len(first.tags)


@pytest.mark.parametrize(
    "planted", [b"", b"short", b"[]", b"{}", b'{"rows": {"no such table": [[1]]}, "children": []}', b"\xff", b"null"]
)
def test_what_is_not_our_own_is_made_again(store: CachedStore, planted: bytes) -> None:
    first = scan(store)
    for key in kept(store):
        store.cache._cache[key] = hashlib.sha256(planted).digest() + planted
    assert_same(scan(store), first)


def test_a_damaged_entry_is_made_again(store: CachedStore) -> None:
    first = scan(store)
    for key in kept(store):
        value = bytearray(store.cache._cache[key])
        value[-3] ^= 1
        store.cache._cache[key] = bytes(value)
    assert_same(scan(store), first)


def test_rows_that_another_version_made_are_not_taken(store: CachedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan(store)
    monkeypatch.setattr(known_rows, "_MADE_BY", "another version")
    assert_same(scan(store), first)
    assert len(kept(store)) == 2 * len(first.manifests)


def test_rows_with_a_problem_are_not_kept(store: CachedStore, proxy: FaultProxy, images: dict[str, Descriptor]) -> None:
    config = store.manifest("base", "1").parse().config.digest  # type: ignore[union-attr]
    proxy.rule(faults.refuse(config, 404, "BLOB_UNKNOWN", "gone", times=1))
    first = scan(store, repositories="base", tags="1")
    assert first.problems["what"].tolist() == ["config"]
    assert kept(store) == []
    second = scan(store, repositories="base", tags="1")
    assert second.problems.empty
    assert second.manifests["os"].tolist() == ["linux"]


def test_where_pulls_are_counted_a_tag_is_resolved_before_its_manifest_is_fetched(
    store: CachedStore, proxy: FaultProxy
) -> None:
    proxy.rule(faults.replace_header("/v2/", "RateLimit-Remaining", "76;w=21600"))
    first = scan(store, repositories="base", tags="1")
    assert [request.method for request in proxy.requests if "/manifests/" in request.path] == ["HEAD", "GET"]
    assert first.rate_limit == RateLimit(76, None, 21600)
    assert "76 left in 6 hours" in repr(first)
    proxy.requests.clear()
    scan(store, repositories="base", tags="stable")  # another tag of the same image
    assert [request.method for request in proxy.requests if "/manifests/" in request.path] == ["HEAD"]


def test_the_rate_limit_is_saved_with_the_snapshot(store: CachedStore, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.rule(faults.replace_header("/v2/", "RateLimit-Remaining", "12"))
    snap = scan(store, repositories="base")
    assert Snapshot.load(snap.save(tmp_path / "saved")).rate_limit == snap.rate_limit is not None


def test_the_progress_bar_shows_the_rate_limit(
    store: CachedStore, proxy: FaultProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.rule(faults.delay(0.15))
    proxy.rule(faults.replace_header("/v2/", "RateLimit-Remaining", "12"))
    scan(store, repositories="base", progress=True)
    assert "rate limit: 12 left" in capsys.readouterr().err
