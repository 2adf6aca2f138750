"""Mirrors: tried in order, never believed about tags, and verified whoever answered."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from regscope.errors import DigestMismatch, InvalidLocation, InvalidReference, MirrorWarning, ResourceNotFound
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.retry_policy import RetryPolicy
from regscope.scanning.metadata import scan
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.stores.cached_store import CachedStore
from regscope.stores.mirrored_store import Mirror, MirroredStore
from regscope.stores.open_store import open as open_store
from regscope.stores.registry_store import RegistryStore
from tests.lab.images import push
from tests.servers.faults import corrupt_body, cut_body, refuse
from tests.servers.proxy import FaultProxy, ProxyResponse
from tests.servers.registry import Registry

LIMIT = 2**22


@pytest.fixture
def mirror(registry: Registry) -> Iterator[FaultProxy]:
    """A mirror that has everything, by its own address."""
    with FaultProxy(registry.url) as server:
        yield server


def config_digest(layout: Path, images: dict[str, Descriptor], name: str) -> Digest:
    manifest = json.loads((layout / "blobs" / images[name].digest.replace(":", "/")).read_bytes())
    return Digest(manifest["config"]["digest"])


def content(server: FaultProxy) -> list[str]:
    """What was read of content: GETs of manifests and blobs."""
    return [r.path for r in server.requests if r.method == "GET" and ("/manifests/" in r.path or "/blobs/" in r.path)]


def test_tags_come_from_the_registry_and_content_from_the_mirror(proxy: FaultProxy, mirror: FaultProxy) -> None:
    plain = scan(open_store(proxy.url, cache=False))
    proxy.clear()
    snap = scan(open_store(proxy.url, mirrors=[mirror.url], cache=False))
    for name, table in snap.tables.items():
        pd.testing.assert_frame_equal(table, plain.tables[name], check_categorical=False)
    assert snap.location == proxy.url
    assert content(proxy) == []
    assert content(mirror) != []
    assert all("sha256:" in path for path in content(mirror))
    assert not [request for request in mirror.requests if "/tags/" in request.path or "_catalog" in request.path]


def test_a_mirror_with_an_old_tag_is_not_believed(
    proxy: FaultProxy, tmp_path: Path, layout: Path, images: dict[str, Descriptor]
) -> None:
    with Registry(tmp_path / "old") as old:
        push(layout, old, only="app:1.0")
        with FaultProxy(old.url) as moved:
            moved.rule(lambda request, _: ProxyResponse(500) if request.path.endswith("/latest") else None)
            store = open_store(proxy.url, mirrors=[moved.url], cache=False)
            assert store.resolve("app", "latest") == images["app:latest"].digest
            assert store.manifest("app", "latest").digest == images["app:latest"].digest


def test_what_a_mirror_lacks_is_no_fault_of_it(
    proxy: FaultProxy, tmp_path: Path, layout: Path, images: dict[str, Descriptor]
) -> None:
    with Registry(tmp_path / "part") as part:
        push(layout, part, only="base:1")
        store = open_store(proxy.url, mirrors=[part.url], cache=False)
        assert store.manifest("app", "1.0").digest == images["app:1.0"].digest
        proxy.clear()
        assert store.manifest("base", images["base:1"].digest).digest == images["base:1"].digest
        assert content(proxy) == []


def test_mirrors_are_tried_in_order(
    proxy: FaultProxy, mirror: FaultProxy, registry: Registry, images: dict[str, Descriptor]
) -> None:
    digest = images["app:1.0"].digest
    with FaultProxy(registry.url) as empty:
        empty.rule(refuse("", 404, "NAME_UNKNOWN", "not mirrored"))
        open_store(proxy.url, mirrors=[empty.url, mirror.url], cache=False).manifest("app", digest)
        assert (len(content(empty)), len(content(mirror)), len(content(proxy))) == (1, 1, 0)


@pytest.mark.parametrize(("status", "code"), [(503, "UNAVAILABLE"), (401, "UNAUTHORIZED"), (403, "DENIED")])
def test_a_mirror_that_fails_is_set_aside_with_one_warning(
    proxy: FaultProxy, mirror: FaultProxy, images: dict[str, Descriptor], status: int, code: str
) -> None:
    mirror.rule(refuse("/manifests/", status, code, "not now"))
    hasty = DockerRegistryV2Client(mirror.url, retry_policy=RetryPolicy(failures=0, refusals=0))
    store = MirroredStore(RegistryStore(DockerRegistryV2Client(proxy.url)), [Mirror(RegistryStore(hasty))])
    with pytest.warns(MirrorWarning, match="not now|cannot be read"):
        assert store.manifest("app", images["app:1.0"].digest).digest == images["app:1.0"].digest
    asked = len(mirror.requests)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.manifest("app", images["app:1.1"].digest)
    assert len(mirror.requests) == asked


def test_a_mirror_that_lies_is_found_out(proxy: FaultProxy, mirror: FaultProxy, images: dict[str, Descriptor]) -> None:
    mirror.rule(corrupt_body("/manifests/"))
    mirror.rule(corrupt_body("/blobs/"))
    store = open_store(proxy.url, mirrors=[mirror.url], cache=False)
    with pytest.warns(MirrorWarning, match="hash to"):
        assert store.manifest("app", images["app:1.0"].digest).digest == images["app:1.0"].digest


def test_a_small_blob_is_read_elsewhere_where_a_mirror_lies(
    proxy: FaultProxy, mirror: FaultProxy, layout: Path, images: dict[str, Descriptor]
) -> None:
    mirror.rule(corrupt_body("/blobs/"))
    digest = config_digest(layout, images, "app:1.0")
    store = open_store(proxy.url, mirrors=[mirror.url], cache=False)
    with pytest.warns(MirrorWarning):
        assert Digest.of(store.read_blob("app", digest, LIMIT)) == digest


def test_a_blob_that_a_mirror_breaks_off_goes_on_from_the_registry(
    proxy: FaultProxy, mirror: FaultProxy, layout: Path, images: dict[str, Descriptor]
) -> None:
    mirror.rule(cut_body("/blobs/", after=10, times=None))
    digest = config_digest(layout, images, "app:1.0")
    store = open_store(proxy.url, mirrors=[mirror.url], cache=False)
    with pytest.warns(MirrorWarning):
        assert Digest.of(b"".join(store.blob("app", digest))) == digest


def test_a_streamed_blob_that_a_mirror_falsified_is_an_error_and_comes_right_the_next_time(
    proxy: FaultProxy, mirror: FaultProxy, layout: Path, images: dict[str, Descriptor]
) -> None:
    mirror.rule(corrupt_body("/blobs/"))
    digest = config_digest(layout, images, "app:1.0")
    store = open_store(proxy.url, mirrors=[mirror.url], cache=False)
    with pytest.warns(MirrorWarning), pytest.raises(DigestMismatch):
        list(store.blob("app", digest))
    assert Digest.of(b"".join(store.blob("app", digest))) == digest


def test_what_nobody_has_is_the_registrys_error(proxy: FaultProxy, mirror: FaultProxy) -> None:
    store = open_store(proxy.url, mirrors=[mirror.url], cache=False)
    nothing = Digest.of(b"nothing")
    with pytest.raises(ResourceNotFound) as caught:
        store.manifest("app", nothing)
    assert proxy.url in str(caught.value)


def test_a_mirror_may_keep_it_under_a_path(
    proxy: FaultProxy, tmp_path: Path, layout: Path, images: dict[str, Descriptor]
) -> None:
    with FaultProxy(proxy.upstream) as harbor:
        harbor.rule(
            lambda request, _: (
                ProxyResponse(307, [("Location", request.path.replace("/v2/hub/", "/v2/"))])
                if request.path.startswith("/v2/hub/")
                else None
            )
        )
        open_store(proxy.url, mirrors=[f"{harbor.url}/hub/"], cache=False).manifest("app", images["app:1.0"].digest)
        assert harbor.requests[0].path.startswith("/v2/hub/app/manifests/sha256:")
    assert content(proxy) == []


def test_the_registrys_password_stays_with_the_registry(
    proxy: FaultProxy, mirror: FaultProxy, images: dict[str, Descriptor]
) -> None:
    mirror.rule(
        lambda request, _: (
            None
            if "Authorization" in request.headers
            else ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="mirror"')])
        )
    )
    store = open_store(proxy.url, username="ann", password="hunter2", mirrors=[mirror.url], cache=False)
    with pytest.warns(MirrorWarning):
        store.manifest("app", images["app:1.0"].digest)
    assert not [request for request in mirror.requests if "Authorization" in request.headers]


def test_a_mirrors_own_saved_login_is_used(
    proxy: FaultProxy, mirror: FaultProxy, images: dict[str, Descriptor], docker_config: Path
) -> None:
    host = mirror.url.removeprefix("http://")
    (docker_config / "config.json").write_text(json.dumps({"auths": {host: {"auth": "bTpzZWNyZXQ="}}}))
    mirror.rule(
        lambda request, _: (
            None
            if request.headers.get("Authorization") == "Basic bTpzZWNyZXQ="
            else ProxyResponse(401, [("WWW-Authenticate", 'Basic realm="mirror"')])
        )
    )
    open_store(proxy.url, mirrors=[mirror.url], cache=False).manifest("app", images["app:1.0"].digest)
    assert [request.status for request in mirror.requests] == [401, 200]  # `/v2/` is asked for its challenge
    assert len(content(mirror)) == 1
    assert content(proxy) == []


def test_a_mirror_that_is_not_there_is_left_out_with_a_warning(
    proxy: FaultProxy, images: dict[str, Descriptor]
) -> None:
    with pytest.warns(MirrorWarning, match=r"no-such-host\.invalid"):
        store = open_store(proxy.url, mirrors=["no-such-host.invalid"], cache=False)
    assert isinstance(store, RegistryStore)


@pytest.mark.parametrize("place", ["", "http://", "ftp://mirror", "/folder", "mirror/Upper"])
def test_what_is_no_mirror_is_refused(proxy: FaultProxy, place: str) -> None:
    with pytest.raises((InvalidLocation, InvalidReference)):
        open_store(proxy.url, mirrors=[place], cache=False)


def test_the_environment_names_mirrors_by_registry(
    proxy: FaultProxy, mirror: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = proxy.url.removeprefix("http://")
    monkeypatch.setenv("REGSCOPE_MIRRORS", f"elsewhere.example.com={proxy.url}, {host.upper()} = {mirror.url}")
    found = open_store(proxy.url, cache=False)
    assert isinstance(found, MirroredStore)
    assert [place.store.location for place in found.mirrors] == [mirror.url]
    assert isinstance(open_store(proxy.url, mirrors=[], cache=False), RegistryStore)
    assert isinstance(open_store(mirror.url, cache=False), RegistryStore)


def test_it_is_cached_pickled_and_shown_like_the_registry(proxy: FaultProxy, mirror: FaultProxy) -> None:
    cached = open_store(proxy.url, mirrors=[mirror.url])
    assert isinstance(cached, CachedStore)
    store = cached.store
    copy = pickle.loads(pickle.dumps(store))
    assert copy.location == store.location == proxy.url
    assert copy.manifest("app", "1.0") == store.manifest("app", "1.0")
    assert mirror.url in store._repr_html_()  # type: ignore[attr-defined]
    assert mirror.url in repr(store)
