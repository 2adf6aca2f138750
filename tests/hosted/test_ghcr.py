"""GitHub Container Registry: an owner's packages and their versions, and what a scan makes of them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import regscope as rs
from regscope.errors import RequestError, ResourceNotFound, Unsupported
from regscope.hosted.finding import provider_of
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.retry_policy import RetryPolicy
from regscope.stores.registry_store import RegistryStore
from regscope.stores.wrapped_store import unwrapped
from tests.hosted.pushed import FOUND, NEW, OLD, fill, found, uploaded
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ghcr import TOKEN, GHCRRegistry
from tests.servers.hosted.hosted import answered, reached
from tests.servers.proxy import ProxyResponse
from tests.servers.registry import Registry

HOST = "ghcr.io"


@pytest.fixture
def ghcr(behind: Registry, authority: CertificateAuthority) -> Iterator[GHCRRegistry]:
    fill(behind)
    with reached(GHCRRegistry(behind, authority)) as profile:
        yield profile


def opened(ghcr: GHCRRegistry, location: str = f"{HOST}/team", **more: Any) -> rs.ContentStore:
    return rs.open(location, **{"username": "ann", "password": TOKEN, "verify": ghcr.ca, **more})


def itself(store: rs.ContentStore) -> RegistryStore:
    found = unwrapped(store)
    assert isinstance(found, RegistryStore)
    return found


def scanned(store: rs.ContentStore, **more: Any) -> rs.Snapshot:
    return rs.scan(store, progress=False, **more)


@pytest.mark.parametrize("host", ["ghcr.io", "GHCR.IO", "containers.ours.ghe.com"])
def test_its_hosts_are_known_by_their_names(host: str) -> None:
    provider = provider_of(DockerRegistryV2Client(f"https://{host}"))
    assert provider is not None
    assert provider.name == "GitHub Container Registry"


@pytest.mark.parametrize(
    "host", ["ghcr.io.example.com", "xghcr.io", "ghe.com", "containers.ghe.com", "docker.pkg.github.com"]
)
def test_hosts_that_only_look_alike_are_not_taken_for_it(host: str) -> None:
    assert provider_of(DockerRegistryV2Client(f"https://{host}")) is None


@pytest.mark.parametrize(
    ("kind", "user", "path"),
    [("Organization", "ann", "orgs/team"), ("User", "bob", "users/team"), ("User", "team", "user")],
)
def test_the_path_of_the_packages_is_that_of_their_owner(
    behind: Registry, authority: CertificateAuthority, kind: str, user: str, path: str
) -> None:
    fill(behind)
    with reached(GHCRRegistry(behind, authority, kind=kind, user=user)) as profile:
        assert opened(profile).repositories() == ["team/app", "team/tools/base"]
        asked = profile.api_requests()
    assert asked[0] == "GET /users/team 200"
    assert asked[1:-1] == (["GET /user 200"] if kind == "User" else [])
    assert asked[-1].startswith(f"GET /{path}/packages?package_type=container&per_page=100")


def test_untagged_manifests_are_told_from_children_and_referrers(ghcr: GHCRRegistry) -> None:
    snap = scanned(opened(ghcr))
    assert found(snap) == FOUND
    assert snap.sees_everything
    assert not len(snap.problems)
    assert {*snap.placements["repository"]} == {"team/app", "team/tools/base"}


def test_the_name_of_a_package_is_quoted_with_its_slashes(ghcr: GHCRRegistry) -> None:
    opened(ghcr).tags("team/tools/base")
    assert any("/orgs/team/packages/container/tools%2Fbase/versions?" in line for line in ghcr.api_requests())


def test_a_manifest_is_read_once_and_the_referrers_api_is_not_asked(ghcr: GHCRRegistry) -> None:
    scanned(opened(ghcr))
    asked = ghcr.asked()
    read = [line for line in asked if line.startswith("GET /v2/team/app/manifests/")]
    assert sorted(read) == sorted(f"GET /v2/team/app/manifests/{digest} 200" for digest in FOUND)  # NEW has two tags
    assert not [line for line in asked if "/referrers/" in line]


def test_a_second_scan_asks_for_the_lists_alone(ghcr: GHCRRegistry) -> None:
    store = opened(ghcr)
    first = scanned(store)
    ghcr.asked()
    second = scanned(store)
    place = "GET /orgs/team/packages"
    assert sorted(ghcr.asked()) == [
        f"{place}/container/app/versions?state=active&per_page=100 200",
        f"{place}/container/tools%2Fbase/versions?state=active&per_page=100 200",
        f"{place}?package_type=container&per_page=100 200",
    ]
    assert second.fingerprint == first.fingerprint


def test_lists_are_read_page_by_page(behind: Registry, authority: CertificateAuthority) -> None:
    images = [image([layer(f"many {at}", 20)], 5) for at in range(230)]
    Contents(pushes=[("team/app", f"t{at}" if at % 2 else None, each) for at, each in enumerate(images)]).push_to(
        behind.url
    )
    with reached(GHCRRegistry(behind, authority)) as profile:
        store = opened(profile)
        assert store.tags("team/app") == sorted(f"t{at}" for at in range(1, 230, 2))
        assert {*store.untagged("team/app")} == {each.digest for each in images[::2]}
        assert len([line for line in profile.api_requests() if "/versions?" in line]) == 3


def test_the_times_of_versions_are_push_times(behind: Registry, ghcr: GHCRRegistry) -> None:
    when = {each.digest: uploaded(behind, "team/app", each, days) for each, days in ((NEW, 7), (OLD, 9))}
    store = opened(ghcr)
    assert store.pushed("team/app", "latest") == when[NEW.digest]
    snap = scanned(store)
    rows = snap.placements[snap.placements["repository"] == "team/app"].set_index("digest")["pushed"]
    assert {digest: rows[digest] for digest in when} == when


def test_the_ids_of_versions_are_known(ghcr: GHCRRegistry) -> None:
    store = itself(opened(ghcr))
    assert store.native_id("team/app", NEW.digest) is None
    store.tags("team/app")
    assert store.native_id("team/app", NEW.digest) == str(ghcr.id_of("team/app", NEW.digest))


def test_below_an_owner_freed_bytes_are_at_most(ghcr: GHCRRegistry) -> None:
    assert not itself(opened(ghcr)).is_partial
    store = opened(ghcr, f"{HOST}/team/tools")
    assert store.repositories() == ["team/tools/base"]
    assert scanned(store).filtered == ("repositories",)


def test_without_an_owner_nothing_can_be_listed_and_the_error_says_so(ghcr: GHCRRegistry) -> None:
    with pytest.raises(Unsupported, match="only below their owner") as caught:
        opened(ghcr, HOST).repositories()
    assert "ghcr.io/OWNER" in caught.value.next_step
    assert scanned(opened(ghcr, HOST), repositories=["team/app"]).sees_untagged


def test_an_owner_that_does_not_exist_is_not_found(ghcr: GHCRRegistry) -> None:
    with pytest.raises(ResourceNotFound):
        opened(ghcr, f"{HOST}/nobody").repositories()


def test_a_package_that_is_not_there_is_an_error(ghcr: GHCRRegistry) -> None:
    with pytest.warns(rs.CapabilityWarning, match="no such package, or hides it"), pytest.raises(ResourceNotFound):
        opened(ghcr).tags("team/nothing")


def test_an_enterprise_at_ghe_com_has_an_api_of_its_own(ghcr: GHCRRegistry) -> None:
    assert found(scanned(opened(ghcr, "containers.ours.ghe.com/team"))) == FOUND
    hosts = {request.headers["Host"] for request in ghcr.requests if not request.path.startswith(("/v2/", "/token"))}
    assert hosts == {"api.ours.ghe.com"}


def test_the_token_goes_to_the_api_alone_and_the_password_to_the_token_service_alone(ghcr: GHCRRegistry) -> None:
    scanned(opened(ghcr))
    sent = {
        request.headers["Host"]
        for request in ghcr.requests
        if request.headers.get("Authorization") == f"Bearer {TOKEN}"
    }
    assert sent == {"api.github.com"}
    assert {
        request.path.partition("?")[0]
        for request in ghcr.requests
        if "Basic" in request.headers.get("Authorization", "")
    } == {"/token"}


def test_capabilities_name_the_provider_and_its_ways(ghcr: GHCRRegistry) -> None:
    ghcr.requests.clear()
    with pytest.warns(rs.CapabilityWarning):
        capabilities = opened(ghcr).capabilities
    assert capabilities is not None
    assert (capabilities.catalog, capabilities.delete, capabilities.tag_delete) == (True, True, False)
    assert capabilities.ranges is None
    assert capabilities.provider == "GitHub Container Registry"
    assert "delete:packages" in capabilities.needs
    assert not [line for line in ghcr.asked() if line.startswith("GET /v2/") and "/manifests/" in line]


def test_a_store_with_its_lists_pickles(ghcr: GHCRRegistry) -> None:
    store = itself(opened(ghcr))
    store.tags("team/app")
    again = pickle.loads(pickle.dumps(store))
    assert again.tags("team/app") == ["1.0", "2.0", "latest"]


VERSION = {"id": 1, "name": OLD.digest, "metadata": {"container": {"tags": []}}}


@pytest.mark.parametrize(
    "answer",
    [
        ProxyResponse(200, [("Content-Type", "text/html")], b"<html>Unicorn!</html>"),
        ProxyResponse(200, [], b""),
        answered({"message": "Moved"}),
        answered({"versions": [VERSION]}),
        answered(None),
        answered([1, 2]),
        answered([None]),
        answered([{**VERSION, "id": "one"}]),
        answered([{**VERSION, "id": None}]),
        answered([{**VERSION, "name": 3}]),
        answered([{"id": 1, "name": OLD.digest}]),
        answered([{**VERSION, "metadata": None}]),
        answered([{**VERSION, "metadata": {"container": {}}}]),
        answered([{**VERSION, "metadata": {"container": {"tags": None}}}]),
        answered([{**VERSION, "metadata": {"container": {"tags": "latest"}}}]),
        answered([{**VERSION, "metadata": {"container": {"tags": [7]}}}]),
    ],
    ids=lambda answer: f"{len(answer.body)} bytes",  # the digests in them differ from run to run
)
def test_an_answer_in_another_form_is_an_error_and_never_an_empty_list(
    ghcr: GHCRRegistry, answer: ProxyResponse
) -> None:
    ghcr.rules.insert(0, lambda request, _: answer if "/versions?" in request.path else None)
    with pytest.raises(RequestError, match=r"unknown form|no JSON") as caught:
        opened(ghcr).tags("team/app")
    assert caught.value.next_step


def test_a_version_whose_name_is_no_digest_leaves_the_list_incomplete(ghcr: GHCRRegistry) -> None:
    other = {**VERSION, "id": 2, "name": "docker-base-layer"}
    ghcr.rules.insert(0, lambda request, _: answered([VERSION, other]) if "/versions?" in request.path else None)
    store = itself(opened(ghcr))
    assert store.tags("team/app") == []
    assert not store.sees_untagged
    assert store.untagged("team/app") == []


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_api_that_is_down_is_an_error_after_some_attempts(ghcr: GHCRRegistry, status: int) -> None:
    ghcr.rules.insert(0, lambda request, _: ProxyResponse(status) if "/versions?" in request.path else None)
    store = itself(opened(ghcr))
    store.client.retry_policy = RetryPolicy(failures=1, refusals=1, backoff=0.01, settling=0.2)
    with pytest.raises(RequestError) as caught:
        store.tags("team/app")
    assert caught.value.status_code == status
