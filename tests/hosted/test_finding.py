"""Who runs a registry is found by what is known of it anyway; a registry that nobody hosts costs nothing more."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import regscope as rs
from regscope.errors import InvalidLocation, RegscopeWarning
from regscope.hosted import finding
from regscope.hosted.finding import GROUP, provider_of, providers, without_prefix
from regscope.hosted.google import Google
from regscope.hosted.provider import Listing, Provider
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.tokens import TokenService
from regscope.stores.registry_store import RegistryStore
from tests.lab.images import push
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry


class Ours(Google):
    """A provider as somebody else writes it: known by the token service that its registries name."""

    name = "Ours"

    @classmethod
    def is_at(cls, host: str) -> bool:
        return host == "registry.ours.example"

    @classmethod
    def is_named_by(cls, service: TokenService, host: str) -> bool:
        return service.service == "registry.test"

    def manifests(self, repository: str) -> Listing | None:
        return None


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = EntryPoint("ours", "tests.hosted.test_finding:Ours", GROUP)
    monkeypatch.setattr(finding, "entry_points", lambda group: [found] if group == GROUP else [])
    providers.cache_clear()
    yield
    providers.cache_clear()


def at(address: str) -> Provider | None:
    return provider_of(DockerRegistryV2Client(address))


@pytest.mark.parametrize(
    "host", ["gcr.io", "eu.gcr.io", "k8s.gcr.io", "europe-west1-docker.pkg.dev", "us-docker.pkg.dev", "GCR.IO"]
)
def test_googles_hosts_are_known_by_their_names(host: str) -> None:
    assert isinstance(at(f"https://{host}"), Google)


@pytest.mark.parametrize(
    "host",
    ["xgcr.io", "gcr.io.example.com", "pkg.dev", "us-npm.pkg.dev", "docker.pkg.dev.example.com", "xghcr.io", "ghe.com"],
)
def test_a_host_that_only_looks_alike_is_nobodys(host: str) -> None:
    assert at(f"https://{host}") is None


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("gcr.io/project", ("gcr.io", "project")),
        ("https://gcr.io/project/app/", ("https://gcr.io", "project/app")),
        ("https://u:p@eu.gcr.io/a/b", ("https://u:p@eu.gcr.io", "a/b")),
        ("gcr.io", ("gcr.io", "")),
        ("gcr.io/", ("gcr.io/", "")),
        ("registry.example.com/path", ("registry.example.com/path", "")),
        ("http://[::1/x", ("http://[::1/x", "")),
    ],
)
def test_only_behind_a_providers_host_a_path_is_a_prefix(location: str, expected: tuple[str, str]) -> None:
    assert without_prefix(location) == expected


@pytest.mark.parametrize("location", ["gcr.io/project:tag", "gcr.io/Project", "gcr.io/a/../b", "gcr.io/a?b=c"])
def test_what_is_no_beginning_of_a_name_is_refused(location: str) -> None:
    with pytest.raises(InvalidLocation, match="no prefix of a repository's name"):
        rs.open(location)


def test_a_plain_registry_has_no_provider_and_is_asked_nothing_more(proxy: FaultProxy) -> None:
    store = RegistryStore(DockerRegistryV2Client(proxy.url))
    assert store.provider is None
    assert not store.sees_untagged
    assert store.listing("base") is None
    assert store.pushed("base", "1") is None
    assert not store.is_partial
    assert not proxy.requests


def test_another_provider_is_found_by_the_challenge_that_was_seen_anyway(
    registered: None, registry: Registry, tmp_path_factory: pytest.TempPathFactory, layout: Any
) -> None:
    from tests.servers.tokens import TokenService as Service

    folder = tmp_path_factory.mktemp("ours")
    with (
        Service(folder / "tokens", users={"ann": "secret"}, grants={"ann": {"*": ["pull", "push", "*"]}}) as tokens,
        Registry(folder / "registry", token=tokens) as ours,
    ):
        push(layout, ours, credentials="ann:secret", only="base")
        with DockerRegistryV2Client(ours.url, "ann", "secret") as client:
            store = RegistryStore(client)
            assert store.provider is None
            assert store.tags("base")
            assert isinstance(store.provider, Ours)
            assert not store.sees_untagged  # it was not asked for the list that was read before


def test_another_provider_comes_first_and_may_have_hosts_of_its_own(registered: None) -> None:
    assert isinstance(at("https://registry.ours.example"), Ours)
    assert without_prefix("registry.ours.example/team") == ("registry.ours.example", "team")
    assert isinstance(at("https://gcr.io"), Google)


def test_one_that_cannot_be_loaded_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "tests.hosted.no_such_module:Nothing", GROUP)
    monkeypatch.setattr(finding, "entry_points", lambda group: [broken])
    providers.cache_clear()
    with pytest.warns(RegscopeWarning, match="the provider broken"):
        assert isinstance(at("https://gcr.io"), Google)
    providers.cache_clear()


def test_a_store_with_a_provider_pickles() -> None:
    store = RegistryStore(DockerRegistryV2Client("https://gcr.io"), "project")
    assert store.provider is not None
    again = pickle.loads(pickle.dumps(store))
    assert (again.location, type(again.provider)) == (store.location, Google)
