"""Docker Hub: tags with their times from its own API, without a pull for each, and what a scan makes of them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import InvalidLocation, Unsupported
from regscope.hosted.docker_hub import DockerHub
from regscope.hosted.finding import provider_of, without_prefix
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.retry_policy import RetryPolicy
from regscope.stores.registry_store import RegistryStore
from tests.hosted.pushed import AMD, ARM, BOTH, NEW, OLD, fill, found, uploaded
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.docker_hub import DockerHubRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry

TAGS = "GET /v2/namespaces/team/repositories/app/tags?page=1&page_size=100 200"


@pytest.fixture
def hub(behind: Registry, authority: CertificateAuthority) -> Iterator[DockerHubRegistry]:
    with reached(DockerHubRegistry(behind, authority)) as profile:
        yield profile


def opened(hub: DockerHubRegistry, location: str = "docker.io/team", *, user: str = "ann") -> RegistryStore:
    login = {"username": user, "password": hub.password} if user else {}
    store = rs.open(location, verify=hub.ca, cache=False, **login)  # type: ignore[arg-type]
    assert isinstance(store, RegistryStore)
    store.client.retry_policy = RetryPolicy(failures=1, refusals=5, backoff=0.01, settling=2)
    return store


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def asked(hub: DockerHubRegistry) -> list[str]:
    """The requests since the last look, without those for tokens."""
    return [line for line in hub.asked() if "/token" not in line and " 401" not in line and " 307" not in line]


def test_a_namespace_is_listed_and_its_tags_have_their_digests_and_times(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    fill(behind)
    pushed, pulled = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 4, 2, 11, 5, tzinfo=UTC)
    hub.pushed["team/app", "latest"] = pushed
    hub.pulled["team/app", "latest"] = pulled
    store = opened(hub)
    assert store.repositories() == ["team/app"]  # a name of three parts cannot be there
    snap = scanned(store)
    assert found(snap) == {
        NEW.digest: "tag",
        BOTH.digest: "tag",
        AMD.digest: "index child",
        ARM.digest: "index child",
    }
    tags = snap.tags.set_index("tag")
    assert tags["digest"].to_dict() == {"latest": NEW.digest, "1.0": NEW.digest, "2.0": BOTH.digest}
    assert (tags["pushed"]["latest"], tags["pulled"]["latest"]) == (pushed, pulled)
    assert tags["pulled"].isna()["1.0"]
    assert snap.sees_pulls
    assert not snap.sees_untagged
    assert not snap.sees_everything
    assert not len(snap.problems)


def test_each_image_has_the_time_of_its_upload_and_an_index_is_pulled_with_its_images(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    fill(behind)
    when = {each.digest: uploaded(behind, "team/app", each, days) for each, days in ((NEW, 7), (AMD, 9), (ARM, 4))}
    hub.pulled["team/app", ARM.digest] = datetime(2026, 4, 2, tzinfo=UTC)
    placed = scanned(opened(hub)).placements.set_index("digest")
    assert {digest: placed["pushed"][digest] for digest in when} == when
    assert placed["pushed"].isna()[BOTH.digest]  # only its tag's is stated, and the tag may have been moved to it later
    assert placed["pulled"][ARM.digest] == placed["pulled"][BOTH.digest] == datetime(2026, 4, 2, tzinfo=UTC)
    assert placed["pulled"].isna()[AMD.digest]


def test_a_scan_spends_a_pull_for_each_manifest_and_none_for_a_tag_and_a_second_one_none(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    fill(behind)
    store = rs.open("docker.io/team", username="ann", password=hub.password, verify=hub.ca)
    first = scanned(store)
    assert hub.manifests_pulled == 4
    assert not [line for line in asked(hub) if line.startswith("HEAD") and "sha256:" not in line]
    second = scanned(store)
    assert hub.manifests_pulled == 4
    assert sorted(line for line in asked(hub) if "/referrers/" not in line) == [
        TAGS,
        "GET /v2/namespaces/team/repositories?page=1&page_size=100 200",
        "GET /v2/team/app/tags/list 200",
    ]
    assert second.fingerprint == first.fingerprint


def test_lists_are_read_to_their_end_a_hundred_a_call(behind: Registry, hub: DockerHubRegistry) -> None:
    images = [image([layer(f"many {at}", 20)], 5) for at in range(3)]
    Contents(
        pushes=[("team/app", f"t{at}", images[at % 3]) for at in range(230)]
        + [(f"team/more-{at}", "1", images[0]) for at in range(104)]
    ).push_to(behind.url)
    store = opened(hub)
    assert len(store.tags("team/app")) == 230
    assert [line for line in asked(hub) if "/tags?" in line] == [
        TAGS.replace("page=1", f"page={number}") for number in (1, 2, 3)
    ]
    assert len(store.repositories()) == 105


def test_official_images_and_single_repositories_are_opened_by_their_names(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    Contents(pushes=[("library/alpine", "3", NEW), ("team/app", "1", OLD)]).push_to(behind.url)
    assert scanned(opened(hub, "docker.io/library", user="")).tags["repository"].tolist() == ["library/alpine"]
    assert scanned(opened(hub, "docker.io/team/app", user="")).tags["digest"].tolist() == [OLD.digest]
    assert opened(hub, "docker.io").tags("alpine") == ["3"]
    with pytest.raises(InvalidLocation):
        rs.open("docker.io/team/app:1")


def test_without_a_namespace_repositories_have_to_be_named(behind: Registry, hub: DockerHubRegistry) -> None:
    fill(behind)
    store = opened(hub, "docker.io")
    with pytest.raises(Unsupported, match="only below a namespace"):
        store.repositories()
    snap = rs.scan(store, repositories=["team/app"], progress=False)
    assert set(snap.tags["tag"]) == {"latest", "1.0", "2.0"}
    assert snap.tags["pushed"].notna().all()


def test_public_repositories_need_no_login_and_private_ones_are_not_shown_without(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    Contents(pushes=[("team/open", "1", NEW), ("team/closed", "1", OLD)]).push_to(behind.url)
    hub.private = {"team/closed"}
    assert opened(hub, user="").repositories() == ["team/open"]
    snap = scanned(opened(hub, user=""))
    assert snap.tags["repository"].tolist() == ["team/open"]
    assert snap.sees_pulls
    assert opened(hub).repositories() == ["team/closed", "team/open"]
    assert len(scanned(opened(hub)).tags) == 2


def test_the_saved_login_opens_both_and_a_token_of_the_api_precedes_its_password(
    behind: Registry, hub: DockerHubRegistry, docker_config: Path
) -> None:
    fill(behind)
    hub.private = {"team/app"}
    login = {"username": "ann", "password": hub.password}
    (docker_config / "config.json").write_text(json.dumps({"auths": {"https://index.docker.io/v1/": login}}))
    assert rs.open("docker.io/team", verify=hub.ca, cache=False).repositories() == ["team/app"]
    hub.api_secret = "for the API"
    with pytest.warns(rs.CapabilityWarning, match="public repositories only"):
        assert rs.open("docker.io/team", verify=hub.ca, cache=False).repositories() == []
    store = rs.open("docker.io/team", verify=hub.ca, cache=False, api_token="for the API")
    assert scanned(store).tags["repository"].unique().tolist() == ["team/app"]


def test_a_store_pickles_without_its_token(behind: Registry, hub: DockerHubRegistry) -> None:
    fill(behind)
    hub.private = {"team/app"}
    store = opened(hub)
    assert store.tags("team/app")
    packed = pickle.dumps(store)
    assert not [token for token in hub.web_tokens if token.encode() in packed]
    assert pickle.loads(packed).tags("team/app") == store.tags("team/app")


def test_the_token_and_the_password_go_to_their_own_hosts_alone(behind: Registry, hub: DockerHubRegistry) -> None:
    fill(behind)
    scanned(opened(hub))
    for request in hub.requests:
        sent, host = request.headers.get("Authorization", ""), request.headers["Host"]
        assert (sent.removeprefix("Bearer ") in hub.web_tokens) == (host == "hub.docker.com" and bool(sent))
        assert not sent.startswith("Basic") or host == "auth.docker.io"


def test_capabilities_name_the_provider_and_what_it_adds(behind: Registry, hub: DockerHubRegistry) -> None:
    fill(behind)
    with pytest.warns(rs.CapabilityWarning):
        capabilities = opened(hub).capabilities
    assert capabilities is not None
    assert (capabilities.catalog, capabilities.delete, capabilities.tag_delete) == (True, True, True)
    assert capabilities.provider == "Docker Hub"
    assert {"push times", "pull times"} <= {*capabilities.adds}
    assert "Read, Write, Delete" in capabilities.needs
    assert hub.manifests_pulled == 0


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"])
def test_all_its_names_are_known_and_a_namespace_may_follow(host: str) -> None:
    assert isinstance(provider_of(DockerRegistryV2Client(f"https://{host}")), DockerHub)
    assert without_prefix(f"{host}/team") == (host, "team")


@pytest.mark.parametrize("host", ["hub.docker.com", "docker.io.example.com", "mirror.gcr.io", "xdocker.io"])
def test_other_hosts_are_not_it(host: str) -> None:
    assert not isinstance(provider_of(DockerRegistryV2Client(f"https://{host}")), DockerHub)
