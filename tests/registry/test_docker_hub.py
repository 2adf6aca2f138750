"""Docker Hub's peculiarities: where it answers, short names, and pulls that are counted."""

from __future__ import annotations

import pytest

from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.endpoint import APIEndpoint, full_name, is_docker_hub
from regscope.scanning.metadata import _choose
from regscope.stores.registry_store import RegistryStore

HUB = "https://registry-1.docker.io"
NAMES = ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "https://docker.io"]


@pytest.mark.parametrize("name", NAMES)
def test_all_its_names_lead_to_where_its_registry_answers(name: str) -> None:
    assert APIEndpoint(url=name).host == "registry-1.docker.io"


def test_other_hosts_are_not_it() -> None:
    for url in ("https://docker.io.example.com", "https://example.com/docker.io", "oci:docker.io", "http://localhost"):
        assert not is_docker_hub(url)


def test_a_short_name_is_an_official_images() -> None:
    client = DockerRegistryV2Client(HUB)
    assert client.url("alpine", "manifests", "3") == f"{HUB}/v2/library/alpine/manifests/3"
    assert client.url("bitnami/redis", "tags", "list") == f"{HUB}/v2/bitnami/redis/tags/list"
    assert client.url("_catalog") == f"{HUB}/v2/_catalog"
    assert client.url() == f"{HUB}/v2/"
    assert full_name(HUB, "alpine") == "library/alpine"


def test_elsewhere_a_short_name_is_whole() -> None:
    assert (
        DockerRegistryV2Client("http://localhost:5000").url("alpine", "tags", "list").endswith("/v2/alpine/tags/list")
    )
    assert full_name("http://localhost:5000", "alpine") == "alpine"
    assert full_name("oci:layout", "alpine") == "alpine"


def test_a_scan_reads_the_same_repository_once_whatever_it_is_called() -> None:
    store = RegistryStore(DockerRegistryV2Client(HUB))
    assert _choose(store, ["alpine", "library/alpine", "a/b"]) == (["library/alpine", "a/b"], True)


def test_its_pulls_are_counted_before_it_has_said_so() -> None:
    assert RegistryStore(DockerRegistryV2Client(HUB)).counts_pulls
    assert not RegistryStore(DockerRegistryV2Client("http://localhost:5000")).counts_pulls
