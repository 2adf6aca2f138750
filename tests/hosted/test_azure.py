"""Azure Container Registry: its own lists, read with one more right in the token, and what a scan makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import InvalidDigest, ResourceNotFound
from regscope.stores.registry_store import RegistryStore
from regscope.stores.wrapped_store import unwrapped
from tests.hosted.pushed import FOUND, NEW, OLD, fill, found, uploaded
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.azure import NOBODY, AzureRegistry
from tests.servers.hosted.hosted import answered, reached
from tests.servers.proxy import ProxyResponse
from tests.servers.registry import Registry

HOST, OWN_HOST = AzureRegistry.hosts


@pytest.fixture
def azure(behind: Registry, authority: CertificateAuthority) -> Iterator[AzureRegistry]:
    with reached(AzureRegistry(behind, authority, password="secret")) as profile:
        yield profile


def opened(azure: AzureRegistry, location: str = HOST) -> rs.ContentStore:
    return rs.open(location, username="ann", password=azure.password, verify=azure.ca)


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def test_what_has_no_tag_is_told_from_children_and_referrers(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    store = opened(azure)
    assert store.repositories() == ["other/app", "team/app", "team/tools/base"]
    snap = scanned(store)
    assert found(snap) == FOUND
    assert snap.sees_everything
    assert not len(snap.problems)


def test_the_token_is_asked_for_metadata_read_and_nothing_more(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    scanned(opened(azure))
    assert {scope for scope in azure.scopes if "team/app" in scope} == {
        "repository:team/app:metadata_read",
        "repository:team/app:pull",
    }


def test_the_identity_token_of_az_acr_login_will_do(
    behind: Registry, authority: CertificateAuthority, docker_config: Path
) -> None:
    fill(behind)
    with reached(AzureRegistry(behind, authority, refresh_token="from az acr login")) as profile:
        auth = {HOST: {"username": NOBODY, "identitytoken": profile.refresh_token}}
        (docker_config / "config.json").write_text(json.dumps({"auths": auth}))
        snap = scanned(rs.open(HOST, verify=profile.ca))
    assert snap.sees_everything
    assert found(snap)[OLD.digest] == "untagged"


def test_without_metadata_read_a_scan_sees_what_any_registry_shows(
    behind: Registry, authority: CertificateAuthority
) -> None:
    fill(behind)
    with reached(AzureRegistry(behind, authority, password="secret", metadata=False)) as profile:
        with pytest.warns(rs.CapabilityWarning, match="Give the token metadata/read"):
            snap = scanned(opened(profile))
        assert found(snap)[NEW.digest] == "tag"
        assert OLD.digest not in found(snap)
        assert not snap.sees_untagged
        assert not len(snap.problems)


def test_lists_are_read_to_their_end_page_by_page(behind: Registry, azure: AzureRegistry) -> None:
    number = 130
    images = [image([layer(f"many {at}", 20)], 5) for at in range(number)]
    Contents(pushes=[("team/app", f"t{at}" if at % 2 else None, each) for at, each in enumerate(images)]).push_to(
        behind.url
    )
    store = opened(azure)
    assert store.tags("team/app") == sorted(f"t{at}" for at in range(1, number, 2))
    assert set(store.untagged("team/app")) == {each.digest for each in images[::2]}
    asked = [line for line in azure.asked() if "/acr/v1/" in line and line.endswith(" 200")]
    assert [line.partition("?")[0].rpartition("/")[2] for line in asked] == [
        *["_tags"] * 2,
        *["_manifests"] * 3,
        "app 200",
    ]


def test_a_second_scan_asks_for_the_lists_alone(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    store = opened(azure)
    first = scanned(store)
    azure.asked()
    second = scanned(store)
    lists = [line.split("?")[0] for line in azure.asked()]
    repositories = ("other/app", "team/app", "team/tools/base")
    expected = [f"GET /acr/v1/{name}/{kind}" for name in repositories for kind in ("_manifests", "_tags")]
    counts = [f"GET /acr/v1/{name} 200" for name in repositories]
    assert sorted(lists) == sorted(["GET /v2/_catalog", *expected * 2, *counts])  # each list until it is empty
    assert second.fingerprint == first.fingerprint


def test_tags_and_manifests_have_the_time_of_their_upload(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    when = {each.digest: uploaded(behind, "team/app", each, days) for each, days in ((NEW, 7), (OLD, 9))}
    store = opened(azure)
    assert store.pushed("team/app", "latest") == when[NEW.digest]
    snap = scanned(store)
    rows = snap.placements[snap.placements["repository"] == "team/app"].set_index("digest")["pushed"]
    assert {digest: rows[digest] for digest in when} == when


def test_a_prefix_limits_what_is_listed_and_freed_bytes_are_at_most(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    store = opened(azure, f"{HOST}/team")
    assert store.repositories() == ["team/app", "team/tools/base"]
    assert scanned(store).filtered == ("repositories",)


def test_a_host_of_ones_own_is_known_by_the_token_service_that_it_names(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    store = opened(azure, OWN_HOST)
    snap = scanned(store)
    itself = unwrapped(store)
    assert isinstance(itself, RegistryStore)
    assert itself.provider is not None
    assert itself.provider.name == "Azure Container Registry"
    assert found(snap)[OLD.digest] == "untagged"
    assert snap.sees_everything


def test_behind_something_that_lets_v2_through_alone_a_scan_sees_what_any_registry_shows(
    behind: Registry, azure: AzureRegistry
) -> None:
    fill(behind)
    azure.rules.insert(0, lambda request, _: ProxyResponse(404, []) if request.path.startswith("/acr/") else None)
    store = opened(azure, OWN_HOST)
    with pytest.warns(rs.CapabilityWarning, match="manifests without a tag, times and locks are not shown: GET"):
        snap = scanned(store)
    assert not snap.sees_untagged
    assert not len(snap.problems)
    assert found(snap)[NEW.digest] == "tag"


def test_a_repository_that_is_not_there_is_an_error(azure: AzureRegistry) -> None:
    with pytest.raises(ResourceNotFound):
        opened(azure).tags("nobody/nothing")


def test_locks_are_in_the_snapshot(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    azure.locked = {("team/app", "latest"), ("team/app", OLD.digest)}
    snap = scanned(opened(azure))
    rows = snap.placements[snap.placements["repository"] == "team/app"]
    assert {*rows.loc[rows["locked"], "digest"]} == {NEW.digest, OLD.digest}


def test_an_entry_without_a_digest_is_an_error_and_no_gap(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    azure.rules.insert(
        0, lambda request, forward: answered({"manifests": [{"tags": []}]}) if "_manifests" in request.path else None
    )
    with pytest.raises(InvalidDigest):
        opened(azure).tags("team/app")


def test_capabilities_name_the_provider_and_what_it_adds(behind: Registry, azure: AzureRegistry) -> None:
    fill(behind)
    with pytest.warns(rs.CapabilityWarning, match="referrers API") as caught:
        capabilities = opened(azure).capabilities
    assert capabilities is not None
    assert len(caught) == 1
    assert (capabilities.catalog, capabilities.delete, capabilities.tag_delete) == (True, True, True)
    assert set(capabilities.reasons) == {"referrers"}
    assert capabilities.provider == "Azure Container Registry"
    assert {"locks", "push times"} <= {*capabilities.adds}
    assert any("soft delete" in said for said in capabilities.facts().values())
    assert "metadata_read" in capabilities.needs
