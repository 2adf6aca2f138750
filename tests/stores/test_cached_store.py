"""What a digest names is fetched once; tags are asked again."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from regscope.errors import ResourceNotFound, TooLarge
from regscope.registry.client import DockerRegistryV2Client
from regscope.spec.descriptor import Descriptor
from regscope.spec.manifest import OCIManifestSchema1
from regscope.spec.media_types import OCI_MANIFEST
from regscope.stores.cached_store import CachedStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.open_store import open as open_store
from regscope.stores.registry_store import RegistryStore
from tests.lab.images import push, put_manifest
from tests.servers import faults
from tests.servers.proxy import FaultProxy, ProxyResponse
from tests.servers.registry import Registry

Images = dict[str, Descriptor]
LIMIT = 2**22


@pytest.fixture
def store(proxied: DockerRegistryV2Client, cache_folder: Path) -> Iterator[CachedStore]:
    cache = DigestCache(cache_folder)
    yield CachedStore(RegistryStore(proxied), cache)
    cache.close()


def methods(proxy: FaultProxy) -> list[str]:
    """The methods of the requests since the last call, or 304 where there was nothing new."""
    found = ["304" if request.status == 304 else request.method for request in proxy.requests]
    proxy.requests.clear()
    return found


def test_a_digest_is_asked_for_once(store: CachedStore, proxy: FaultProxy, images: Images) -> None:
    digest = images["base:1"].digest
    first = store.manifest("base", digest)
    assert methods(proxy) == ["GET"]
    assert store.manifest("base", digest)[:2] == first[:2]
    manifest = first.parse()
    assert isinstance(manifest, OCIManifestSchema1)
    content = store.read_blob("base", manifest.config.digest, LIMIT)
    assert methods(proxy) == ["GET"]
    assert store.read_blob("base", manifest.config.digest, LIMIT) == content
    assert methods(proxy) == []


def test_the_second_time_a_tag_is_asked_whether_it_has_changed(store: CachedStore, proxy: FaultProxy) -> None:
    first = store.manifest("base", "1")
    assert methods(proxy) == ["GET"]
    assert store.manifest("base", "1")[:2] == first[:2]
    assert methods(proxy) == ["304"]


def test_a_registry_that_knows_no_conditions_is_asked_by_head(store: CachedStore, proxy: FaultProxy) -> None:
    first = store.manifest("base", "1")
    whole = ProxyResponse(200, [("Content-Type", first.media_type or "")], first.raw)
    proxy.rule(lambda request, forward: whole if "If-None-Match" in request.headers else None)
    methods(proxy)
    for _ in range(2):
        assert store.manifest("base", "1")[:2] == first[:2]
    assert methods(proxy) == ["GET", "HEAD"]


def test_where_pulls_are_counted_it_is_asked_by_head(store: CachedStore, proxy: FaultProxy) -> None:
    store.manifest("base", "1")
    proxy.rule(faults.replace_header("/v2/", "RateLimit-Remaining", "10;w=21600"))
    store.tags("base")
    methods(proxy)
    store.manifest("base", "1")
    assert methods(proxy) == ["HEAD"]


def test_another_process_finds_what_was_read(store: CachedStore, proxy: FaultProxy) -> None:
    store.manifest("base", "1")
    methods(proxy)
    again = open_store(proxy.url)  # with the user's cache, which is this one
    assert isinstance(again, CachedStore)
    assert again.manifest("base", "1").digest == store.resolve("base", "1")
    assert methods(proxy) == ["304", "HEAD"]
    assert again.location == proxy.url


def test_a_tag_that_moved_is_noticed(tmp_path: Path, layout: Path, images: Images) -> None:
    files = [layout / "blobs" / images[f"app:{tag}"].digest.replace(":", "/") for tag in ("1.0", "1.1", "1.0")]
    asked = (["GET"], ["GET"], ["GET"])
    with Registry(tmp_path / "r") as registry, FaultProxy(registry.url) as proxy, requests.Session() as web:
        web.trust_env = False
        push(layout, registry, only="app:1.")
        store = CachedStore(RegistryStore(DockerRegistryV2Client(proxy.url)), DigestCache())
        for file, expected in zip(files, asked, strict=True):
            put_manifest(web, registry.url, "app", "moving", file.read_bytes(), OCI_MANIFEST)
            assert store.manifest("app", "moving").raw == file.read_bytes()
            assert methods(proxy) == expected


def test_a_tag_that_is_gone_is_gone(store: CachedStore, proxy: FaultProxy) -> None:
    store.manifest("base", "1")
    proxy.rule(faults.refuse("/manifests/1", 404, "MANIFEST_UNKNOWN", "gone"))
    with pytest.raises(ResourceNotFound):
        store.manifest("base", "1")


def test_tags_and_repositories_are_always_asked(store: CachedStore, proxy: FaultProxy) -> None:
    for _ in range(2):
        store.tags("base")
        store.repositories()
    assert methods(proxy) == ["GET"] * 4


def test_large_blobs_are_streamed_and_not_kept(store: CachedStore, proxy: FaultProxy) -> None:
    manifest = store.manifest("base", "1").parse()
    assert isinstance(manifest, OCIManifestSchema1)
    entries = len(store.cache)
    for _ in range(2):
        assert b"".join(store.blob("base", manifest.layers[0].digest))
    assert len(store.cache) == entries
    assert methods(proxy) == ["GET"] * 3


def test_the_limit_holds_for_what_is_cached(store: CachedStore) -> None:
    manifest = store.manifest("base", "1").parse()
    assert isinstance(manifest, OCIManifestSchema1)
    config = manifest.config
    store.read_blob("base", config.digest, config.size)
    with pytest.raises(TooLarge):
        store.read_blob("base", config.digest, config.size - 1)


def test_a_lie_in_the_cache_is_fetched_again(store: CachedStore, proxy: FaultProxy, images: Images) -> None:
    digest = images["base:1"].digest
    store.cache.put(digest, b"a lie")
    store.cache.note(f"{store.location} base:1", images["app:1.0"].digest)
    assert store.manifest("base", digest).digest == digest
    assert store.manifest("base", "1").digest == digest
    assert methods(proxy) == ["GET", "GET"]


def test_content_that_is_not_verified_is_not_kept(store: CachedStore, proxy: FaultProxy, images: Images) -> None:
    proxy.rule(faults.corrupt_body("/manifests/", times=1))
    with pytest.raises(Exception, match="hash"):
        store.manifest("base", images["base:1"].digest)
    assert len(store.cache) == 0
    assert store.manifest("base", images["base:1"].digest)


def test_a_cache_that_fails_costs_time_and_no_answer(
    store: CachedStore, proxy: FaultProxy, cache_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = store.manifest("base", "1")
    with contextlib.closing(sqlite3.connect(cache_folder / "cache.db")) as database:
        database.execute("DROP TABLE Cache")
    methods(proxy)
    assert store.manifest("base", "1") == expected
    manifest = expected.parse()
    assert isinstance(manifest, OCIManifestSchema1)
    assert len(store.read_blob("base", manifest.config.digest, LIMIT)) == manifest.config.size
    assert methods(proxy) == ["GET", "GET"]
    assert "going on without the cache" in caplog.text
