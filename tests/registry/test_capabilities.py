"""What a registry offers is found out by asking, and nothing in it changes by that."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest

from regscope.errors import CapabilityWarning, ResourceNotFound, UnknownHost
from regscope.registry.capabilities import Capabilities, probe_capabilities
from regscope.registry.client import DockerRegistryV2Client
from regscope.stores.oci_layout import OCILayoutStore
from regscope.stores.open_store import open as open_store
from regscope.stores.registry_store import RegistryStore
from tests.lab.images import push
from tests.servers.faults import refuse, replace_header
from tests.servers.oci import OCIRegistry
from tests.servers.proxy import FaultProxy, ProxyResponse
from tests.servers.registry import Registry


def found(capabilities: Capabilities) -> tuple[bool | int | None, ...]:
    return (
        capabilities.catalog,
        capabilities.delete,
        capabilities.tag_delete,
        capabilities.referrers,
        capabilities.ranges,
        capabilities.chunk_minimum,
    )


def test_of_docker_registry(client: DockerRegistryV2Client) -> None:
    capabilities = probe_capabilities(client)
    assert found(capabilities) == (True, True, False, False, True, 0)
    assert set(capabilities.reasons) == {"tag_delete", "referrers"}
    assert "DIGEST_INVALID" in capabilities.reasons["tag_delete"]


def test_of_a_registry_with_the_whole_oci_api(oci_registry: OCIRegistry) -> None:
    capabilities = probe_capabilities(DockerRegistryV2Client(oci_registry.url))
    assert found(capabilities) == (True, True, True, True, True, 8192)
    assert not capabilities.reasons


def test_of_a_registry_that_deletes_nothing(tmp_path: Path, layout: Path) -> None:
    with Registry(tmp_path / "kept", delete=False) as registry:
        push(layout, registry, only="base:1")
        capabilities = probe_capabilities(DockerRegistryV2Client(registry.url))
    assert capabilities.delete is False
    assert "405" in capabilities.reasons["delete"]


def test_asking_leaves_the_content_as_it_was(tmp_path: Path, layout: Path) -> None:
    with Registry(tmp_path / "kept") as registry:
        push(layout, registry, only="base:")
        before = kept(registry)
        probe_capabilities(DockerRegistryV2Client(registry.url))
        assert kept(registry) == before


def kept(registry: Registry) -> set[Path]:
    # docker-registry writes the state of an upload's hash once more after it was cancelled.
    return {path for path in registry.storage.rglob("*") if "_uploads" not in path.parts[:-1]}


def test_an_empty_registry_is_asked_for_its_catalog_alone(tmp_path: Path) -> None:
    with Registry(tmp_path / "empty") as registry:
        capabilities = probe_capabilities(DockerRegistryV2Client(registry.url))
    assert found(capabilities) == (True, None, None, None, None, None)
    assert capabilities.reasons["delete"] == "no repository is known"


def test_where_the_catalog_is_closed_a_repository_can_be_named(
    proxy: FaultProxy, proxied: DockerRegistryV2Client
) -> None:
    proxy.rule(refuse("/_catalog", 401, "UNAUTHORIZED", "not for you"))
    capabilities = probe_capabilities(proxied)
    assert (capabilities.catalog, capabilities.delete) == (False, None)
    assert probe_capabilities(proxied, "app").delete is True
    with pytest.raises(ResourceNotFound):
        probe_capabilities(proxied, "no/such")


def test_what_these_credentials_may_not_do_is_not_known(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(refuse("", 403, "DENIED", "read only", methods=("DELETE", "POST")))
    capabilities = probe_capabilities(proxied)
    assert (capabilities.delete, capabilities.tag_delete, capabilities.chunk_minimum) == (None, None, None)
    assert "DENIED" in capabilities.reasons["delete"]


def test_a_404_that_no_registry_wrote_shows_nothing(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(lambda request, _: ProxyResponse(404, body=b"page not found") if request.method == "DELETE" else None)
    assert probe_capabilities(proxied).delete is None


def test_the_minimum_of_a_chunk_is_read(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(replace_header("/uploads/", "OCI-Chunk-Min-Length", "5242880"))
    assert probe_capabilities(proxied).chunk_minimum == 5242880
    assert [request.method for request in proxy.requests if "/uploads/" in request.path] == ["POST", "DELETE"]


def test_a_registry_without_ranges_is_seen(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(lambda request, _: ProxyResponse(200, body=b"{}") if "Range" in request.headers else None)
    assert probe_capabilities(proxied).ranges is False


def test_where_pulls_are_counted_none_is_spent(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(replace_header("/v2/", "RateLimit-Remaining", "10;w=21600"))
    capabilities = probe_capabilities(proxied)
    assert capabilities.ranges is None
    assert "count" in capabilities.reasons["ranges"]
    assert not [request for request in proxy.requests if request.method == "GET" and "/manifests/" in request.path]


def test_a_store_asks_once_and_warns_of_what_is_lacking(proxy: FaultProxy) -> None:
    store = open_store(proxy.url)
    with pytest.warns(CapabilityWarning) as caught:
        capabilities = store.capabilities
    assert {warning.message.capability for warning in caught} == {"tag_delete", "referrers"}  # type: ignore[union-attr]
    asked = len(proxy.requests)
    assert asked <= 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.capabilities is capabilities
    assert len(proxy.requests) == asked
    assert pickle.loads(pickle.dumps(store)).capabilities == capabilities


def test_what_is_lacking_can_be_made_an_error(registry: Registry) -> None:
    store = RegistryStore(DockerRegistryV2Client(registry.url))
    with warnings.catch_warnings():
        warnings.simplefilter("error", CapabilityWarning)
        with pytest.raises(CapabilityWarning, match="tag"):
            _ = store.capabilities
    assert store.capabilities.delete is True  # it was found out all the same


def test_the_repository_that_was_listed_last_is_asked_about(proxy: FaultProxy) -> None:
    proxy.rule(refuse("/_catalog", 404, "NAME_UNKNOWN", "no catalog"))
    store = RegistryStore(DockerRegistryV2Client(proxy.url))
    store.tags("team/api")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CapabilityWarning)
        assert store.capabilities.delete is True
    deletions = [request.path for request in proxy.requests if request.method == "DELETE"]
    assert all(path.startswith("/v2/team/api/") for path in deletions)


def test_a_layout_has_none(layout: Path) -> None:
    assert OCILayoutStore(layout).capabilities is None


def test_a_registry_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(UnknownHost):
        probe_capabilities(DockerRegistryV2Client("http://no-such-host.invalid"))


def test_it_reads_well(client: DockerRegistryV2Client) -> None:
    capabilities = Capabilities(catalog=True, delete=False, chunk_minimum=5_000_000, reasons={"delete": "<b>405</b>"})
    assert capabilities.facts() == {
        "catalog": "yes",
        "delete": "no: <b>405</b>",
        "tag delete": "not known",
        "referrers": "not known",
        "ranges": "not known",
        "chunk minimum": "5.0 MB",
    }
    assert "&lt;b&gt;" in capabilities._repr_html_()
