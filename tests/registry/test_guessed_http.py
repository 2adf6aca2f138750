"""A registry that was named without a scheme and speaks no TLS: read with a warning, and not written to."""

from __future__ import annotations

import io
import pickle
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import RegscopeWarning, TLSFailed
from regscope.registry.addresses import _reach_of_name
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.endpoint import APIEndpoint
from regscope.registry.manifests import ManifestRef
from regscope.registry.tags import Tags
from regscope.stores.open_store import open as open_store
from regscope.stores.registry_store import RegistryStore
from tests.servers.forward_proxy import ForwardProxy
from tests.servers.names import Names
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry
from tests.servers.relay import Relay


@pytest.fixture
def named(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """The registry, by a name that is not this machine's."""
    with FaultProxy(registry.url) as proxy:
        Names(monkeypatch).lead("registry.lan", "127.0.0.1")
        yield proxy
    _reach_of_name.cache_clear()


def address_of(server: FaultProxy) -> str:
    return f"registry.lan:{server.host.partition(':')[2]}"


def guessed(address: str, **options: bool) -> DockerRegistryV2Client:
    with pytest.warns(RegscopeWarning, match="speaks no TLS") as caught:
        client = DockerRegistryV2Client.from_api_endpoint(APIEndpoint(url=address), **options)  # type: ignore[arg-type]
    assert len(caught) == 1
    return client


def writes(server: FaultProxy) -> list[str]:
    return [request.method for request in server.requests if request.method not in ("GET", "HEAD")]


def refuses_all_writing(client: DockerRegistryV2Client) -> None:
    digest = Tags("base", client).get("1").digest  # type: ignore[union-attr]
    raw = ManifestRef("base", "1", client).fetch().raw
    for write in (
        lambda: Blob("base", client=client, fileobj=io.BytesIO(b"private")).upload(),
        lambda: Blob("base", client=client, fileobj=io.BytesIO(b"private")).upload_at_one_time(),
        lambda: Blob("base", digest, client=client).mount_from("app"),
        lambda: Blob("base", digest, client=client).delete(),
        lambda: ManifestRef("base", "new", client).put(raw),
        lambda: ManifestRef("base", "1", client).delete(),
        lambda: Tags("base", client).untag("1"),
        lambda: client.patch(client.url("base", "blobs", "uploads", "x"), data=b"private"),
    ):
        with pytest.raises(TLSFailed, match="nothing is sent") as caught:
            write()
        assert "http://" in caught.value.next_step
        assert "insecure" in caught.value.next_step


def test_it_is_read_with_one_warning_and_not_written_to(named: FaultProxy) -> None:
    client = guessed(address_of(named))
    refuses_all_writing(client)
    refuses_all_writing(pickle.loads(pickle.dumps(client)))  # as workers of a cluster get it
    assert writes(named) == []


def test_a_copy_to_it_is_refused_before_anything_was_sent(named: FaultProxy, layout: Path) -> None:
    with pytest.warns(RegscopeWarning, match="speaks no TLS"), pytest.raises(TLSFailed, match="nothing is sent"):
        rs.copy(f"oci:{layout}", "base:1", address_of(named), "copied:1", progress=False)
    assert writes(named) == []


def test_whoever_says_http_or_insecure_may_write(named: FaultProxy, tmp_path: Path) -> None:
    with Registry(tmp_path / "r") as own, FaultProxy(own.url) as proxy, warnings.catch_warnings():
        warnings.simplefilter("error")
        for client in (
            DockerRegistryV2Client.from_api_endpoint(APIEndpoint(url=f"http://{address_of(proxy)}")),
            DockerRegistryV2Client.from_api_endpoint(APIEndpoint(url=address_of(proxy)), insecure=True),
            DockerRegistryV2Client(f"http://{address_of(proxy)}"),
        ):
            assert Blob("new", client=client, fileobj=io.BytesIO(b"public")).upload().size == 6


def test_the_environment_may_say_so(named: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGSCOPE_INSECURE", address_of(named))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = open_store(address_of(named), cache=False)
    assert isinstance(store, RegistryStore)
    assert not store.client.guessed_http


def test_this_machine_is_written_to_as_ever(tmp_path: Path, layout: Path) -> None:
    with Registry(tmp_path / "r") as own, warnings.catch_warnings():
        warnings.simplefilter("error")
        rs.copy(f"oci:{layout}", "base:1", own.host, progress=False)
        assert open_store(own.host, cache=False).tags("base") == ["1"]


def test_a_proxy_that_refuses_tunnels_does_not_get_what_is_pushed(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is between refuses the TLS, and would have all of it in the clear."""
    with FaultProxy(registry.url) as server, ForwardProxy({"registry.lan": server.host}) as border:
        monkeypatch.setenv("HTTP_PROXY", border.url)
        monkeypatch.setenv("HTTPS_PROXY", border.url)
        refuses_all_writing(guessed("registry.lan"))
        assert ("CONNECT", "registry.lan:443") in border.requests
        assert writes(server) == []


def own_address() -> str:
    """An address of this machine that is not its loopback's; empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        address = str(asking.getsockname()[0])
    return "" if address.startswith("127.") else address


def test_a_registry_on_the_network_is_not_written_to(registry: Registry) -> None:
    address = own_address()
    if not address:
        pytest.skip("needs a network")
    with Relay(registry.port, host=address) as network:
        refuses_all_writing(guessed(network.url.removeprefix("http://")))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert open_store(network.url, cache=False).tags("base") == ["1", "stable"]
