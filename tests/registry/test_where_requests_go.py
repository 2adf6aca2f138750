"""The address that is connected to is the one that is checked, and what changes something stays at its origin."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from regscope.errors import RegscopeError, UnsafeRedirect
from regscope.registry import connections
from regscope.registry.addresses import _reach_of_name
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tags import Tags
from regscope.spec.digest import Digest
from tests.servers import faults
from tests.servers.forward_proxy import ForwardProxy
from tests.servers.names import Names
from tests.servers.proxy import FaultProxy, ProxyResponse
from tests.servers.raw import RawServer
from tests.servers.registry import Registry

METADATA = "169.254.169.254"
TOKEN = b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"token":"of-a-cloud"}\n'


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    yield Names(monkeypatch)
    _reach_of_name.cache_clear()


@pytest.fixture
def elsewhere(registry: Registry) -> Iterator[FaultProxy]:
    """Another origin before the same registry."""
    with FaultProxy(registry.url) as server:
        yield server


def hasty(url: str, **options: Any) -> DockerRegistryV2Client:
    return DockerRegistryV2Client(url, default_timeout=5, retry_policy=RetryPolicy(0, 0), **options)


def test_a_redirect_whose_name_resolves_anew_is_not_connected_to(proxy: FaultProxy, names: Names) -> None:
    proxy.rule(faults.redirect("/tags/", "http://storage.test/x"))
    names.lead("storage.test", "127.0.0.1", METADATA)
    with pytest.raises(UnsafeRedirect, match=METADATA) as caught:
        Tags("base", hasty(proxy.url)).list()
    assert caught.value.next_step
    assert names.asked == ["storage.test"] * 2


def test_a_public_registrys_storage_cannot_move_into_the_network(
    registry: Registry, elsewhere: FaultProxy, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry is behind a proxy, and public; its storage is asked directly, and becomes this machine."""
    with FaultProxy(registry.url) as proxy, ForwardProxy({"registry.test": proxy.host}) as border:
        monkeypatch.setenv("HTTP_PROXY", border.url)
        monkeypatch.setenv("NO_PROXY", "storage.test")
        names.lead("registry.test", "93.184.216.34")
        names.lead("storage.test", "93.184.216.35", "127.0.0.1")
        port = elsewhere.host.partition(":")[2]
        proxy.rule(faults.redirect("/tags/", f"http://storage.test:{port}/v2/base/tags/list"))
        with pytest.raises(UnsafeRedirect, match=r"127\.0\.0\.1"):
            Tags("base", hasty("http://registry.test")).list()
    assert elsewhere.requests == []


def test_an_open_connection_is_not_used_by_whom_it_was_not_made_for(
    registry: Registry, elsewhere: FaultProxy, names: Names
) -> None:
    """Two redirects to one name: from this machine, where it may lead inside, and from the world, where not."""
    pool = connections.Connections(registry.url, 4)
    port = elsewhere.host.partition(":")[2]
    names.lead("storage.test", "127.0.0.1")
    url, ended = f"http://storage.test:{port}/v2/", lambda: None
    for _ in range(2):
        pool.send("GET", url, {}, None, (5, 5), ended, connections.Reach.PRIVATE).raw.read()
    with pytest.raises(UnsafeRedirect):
        pool.send("GET", url, {}, None, (5, 5), ended, connections.Reach.PUBLIC)
    pool.close()
    assert len(elsewhere.requests) == 2


def test_the_registry_itself_cannot_become_a_clouds_metadata(registry: Registry, names: Names) -> None:
    """Its owner is whoever owns its name: he would be sent what is found there, as a token."""
    names.lead("registry.test", "127.0.0.1", METADATA)
    with DockerRegistryV2Client(f"http://registry.test:{registry.port}", retry_policy=RetryPolicy(0, 0)) as client:
        assert Tags("base", client).list() == ["1", "stable"]
        client.close()
        with pytest.raises(UnsafeRedirect, match=METADATA):
            Tags("base", client).list()


def test_a_token_from_where_nothing_may_lead_is_neither_fetched_nor_sent_on(names: Names) -> None:
    challenge = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="http://%b/t"\r\nContent-Length: 0\r\n\r\n'
    for realm in (METADATA, "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "rebound.test"):
        names.lead("rebound.test", "127.0.0.1", METADATA)
        with RawServer(challenge % realm.encode(), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as server:
            with pytest.raises(UnsafeRedirect) as caught:
                Tags("base", hasty(server.url)).list()
            assert caught.value.next_step
            assert len(server.requests) == 1
            assert not any(b"uthorization" in request for request in server.requests)


def test_a_token_service_cannot_send_the_question_on_to_metadata() -> None:
    with RawServer(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/t\r\nContent-Length: 0\r\n\r\n") as tokens:
        challenge = f'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="{tokens.url}/t"\r\nContent-Length: 0\r\n\r\n'
        with RawServer(challenge.encode(), TOKEN) as server:
            with pytest.raises(UnsafeRedirect, match=METADATA):
                Tags("base", hasty(server.url)).list()
            assert len(server.requests) == 1


@pytest.mark.parametrize("place", [METADATA, "[fd00:ec2::254]", "192.0.0.192", "0251.0376.0251.0376"])
def test_an_upload_never_goes_to_metadata(proxy: FaultProxy, place: str) -> None:
    where = [("Location", f"http://{place}/upload")]
    proxy.rule(lambda request, forward: ProxyResponse(202, where) if request.method == "POST" else None)
    with pytest.raises(UnsafeRedirect) as caught:
        Blob("base", client=hasty(proxy.url), fileobj=io.BytesIO(b"x")).upload()
    assert caught.value.next_step


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_changes_something_is_not_sent_on_to_another_origin(
    proxy: FaultProxy, elsewhere: FaultProxy, method: str, status: int
) -> None:
    proxy.rule(faults.redirect("/manifests/", f"{elsewhere.url}/v2/base/manifests/1", status, [method]))
    client = hasty(proxy.url)
    with pytest.raises(UnsafeRedirect) as caught:
        client.request(method, client.url("base", "manifests", "1"))
    assert caught.value.next_step
    assert elsewhere.requests == []


def test_a_delete_is_sent_on_within_its_origin(proxy: FaultProxy) -> None:
    """GitLab and proxies before registries correct paths so."""
    proxy.rule(faults.redirect("/old/manifests/", f"{proxy.url}/v2/base/manifests/{Digest.of(b'x')}", 307, ["DELETE"]))
    client = hasty(proxy.url)
    with pytest.raises(RegscopeError):
        client.delete(client.url("old", "manifests", "1"))
    assert [request.method for request in proxy.requests] == ["DELETE", "DELETE"]


def test_a_read_is_still_sent_on(proxy: FaultProxy, elsewhere: FaultProxy) -> None:
    proxy.rule(faults.redirect("/manifests/", f"{elsewhere.url}/v2/base/manifests/1"))
    assert ManifestRef("base", "1", hasty(proxy.url)).fetch().raw
    assert elsewhere.requests


def test_connections_to_ever_new_hosts_are_not_all_kept(
    registry: Registry, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_MOST_HOSTS", 4)
    pool = connections.Connections(registry.url, 4)
    for number in range(20):
        names.lead(f"storage-{number}.test", "127.0.0.1")
        url = f"http://storage-{number}.test:{registry.port}/v2/"
        pool.send("GET", url, {}, None, (5, 5), lambda: None, connections.Reach.PRIVATE).raw.read()
    assert sum(map(len, pool._idle.values())) <= 5
    pool.close()
