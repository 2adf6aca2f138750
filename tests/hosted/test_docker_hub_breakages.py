"""Docker Hub where it goes wrong: logins that are refused, an API that lacks tags or answers nonsense, and limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

import regscope as rs
from regscope.errors import AuthFailed, RegscopeError, ResourceNotFound
from regscope.registry.retry_policy import RetryPolicy
from regscope.stores.registry_store import RegistryStore
from tests.hosted.pushed import BOTH, NEW, OLD, fill
from tests.lab.drawn_registries import Contents
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.docker_hub import DockerHubRegistry
from tests.servers.hosted.hosted import answered, reached
from tests.servers.proxy import ProxyResponse
from tests.servers.registry import Registry


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


def test_a_repository_that_the_api_does_not_show_is_asked_for_once_and_read_as_from_any_registry(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    fill(behind)
    hub.hidden = {"team/app"}
    store = opened(hub, "docker.io")
    with pytest.warns(rs.CapabilityWarning, match="team/app: when tags were pushed and pulled is not known"):
        snap = rs.scan(store, repositories="team/app", progress=False)
    assert set(snap.tags["tag"]) == {"latest", "1.0", "2.0"}
    assert not snap.sees_pulls
    assert not len(snap.problems)
    rs.scan(store, repositories="team/app", progress=False)
    assert len([line for line in asked(hub) if "/namespaces/" in line]) == 1


def test_where_only_the_registry_is_reached_the_api_is_asked_once_for_all(
    behind: Registry, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(behind)
    monkeypatch.setattr(DockerHubRegistry, "hosts", ("registry-1.docker.io", "auth.docker.io", "cdn.docker.example"))
    with reached(DockerHubRegistry(behind, authority)) as hub:
        store = opened(hub, "docker.io")
        with pytest.warns(rs.CapabilityWarning) as caught:
            snap = rs.scan(store, repositories=["team/app", "other/app"], progress=False)
    assert 1 <= len([each for each in caught if "pulled is not known" in str(each.message)]) <= 2
    assert len(snap.tags) == 4


def test_a_login_that_the_api_refuses_is_tried_once_and_public_repositories_are_read(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    """hub-feedback#2166, #2227: the API's login refused access tokens that the registry took."""
    fill(behind)
    refuses = lambda request, _: (  # noqa: E731
        answered({"detail": "Incorrect authentication credentials"}, status=401)
        if request.path == "/v2/auth/token"
        else None
    )
    hub.rules.insert(0, refuses)
    store = opened(hub)
    with pytest.warns(rs.CapabilityWarning, match="public repositories only.*access token") as caught:
        snap = scanned(store)
    assert len([each for each in caught if "public repositories only" in str(each.message)]) == 1
    assert set(snap.tags["tag"]) == {"latest", "1.0", "2.0"}
    before = len([each for each in hub.requests if each.path == "/v2/auth/token"])
    scanned(store)
    assert before == len([each for each in hub.requests if each.path == "/v2/auth/token"]) <= 2
    with pytest.raises(AuthFailed, match="removes no tag: it refuses the login"):
        store.provider.check_untags("team/app")  # type: ignore[union-attr]


def test_an_api_that_refuses_requests_with_tokens_is_an_api_that_shows_nothing(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    """hub-feedback#2171, #2247, #2438: 403 "access to the resource is forbidden with personal access token"."""
    fill(behind)
    hub.refuses_tokens = True
    with pytest.warns(rs.CapabilityWarning, match="forbidden with personal access token"):
        snap = rs.scan(opened(hub, "docker.io"), repositories="team/app", progress=False)
    assert set(snap.tags["tag"]) == {"latest", "1.0", "2.0"}


def test_a_wrong_password_is_an_error_that_says_so(behind: Registry, hub: DockerHubRegistry) -> None:
    fill(behind)
    store = rs.open("docker.io", username="ann", password="wrong", verify=hub.ca, cache=False)
    with pytest.warns(rs.CapabilityWarning), pytest.raises(AuthFailed, match="refuses") as caught:
        rs.scan(store, repositories="team/app", progress=False)
    assert "docker login" in caught.value.next_step


def test_a_token_that_expires_in_mid_run_is_renewed(behind: Registry, hub: DockerHubRegistry) -> None:
    Contents(pushes=[(f"team/a{at}", "1", NEW) for at in range(3)]).push_to(behind.url)
    hub.private = {"team/a0", "team/a1", "team/a2"}
    store = opened(hub)
    assert len(store.repositories()) == 3
    hub.web_tokens.clear()
    assert store.manifests("team/a1") is not None
    assert len([each for each in hub.requests if each.path == "/v2/auth/token"]) == 2


def test_a_tag_without_a_digest_is_asked_for_without_a_pull(behind: Registry, hub: DockerHubRegistry) -> None:
    """hub-feedback#2369: some tags are listed without digest and images."""
    fill(behind)
    hub.bare = {("team/app", "2.0")}
    store = opened(hub)
    listing = store.manifests("team/app")
    assert listing is not None
    assert {row.digest: row.tag_names for row in listing.manifests} == {
        NEW.digest: ("1.0", "latest"),
        BOTH.digest: ("2.0",),
    }
    assert hub.manifests_pulled == 0
    assert "HEAD /v2/team/app/manifests/2.0 200" in asked(hub)


def test_what_the_api_says_is_not_used_where_it_lacks_tags(behind: Registry, hub: DockerHubRegistry) -> None:
    """hub-feedback#2533, #361, #2048: the API lacked new tags, and stated what an older `latest` was."""
    fill(behind)
    hub.lacks, hub.moved = {("team/app", "1.0")}, {("team/app", "latest"): OLD.digest}
    with pytest.warns(rs.CapabilityWarning, match=r"lacks 1 tags that the registry has, such as 1\.0"):
        snap = scanned(opened(hub))
    tags = snap.tags.set_index("tag")
    assert tags["digest"].to_dict() == {"latest": NEW.digest, "1.0": NEW.digest, "2.0": BOTH.digest}
    assert tags["pushed"].isna().all()
    assert not snap.sees_pulls  # a tag without a time of a pull would otherwise count as never pulled


def test_a_tag_that_was_deleted_at_the_registry_is_left_out(behind: Registry, hub: DockerHubRegistry) -> None:
    """hub-feedback#2361, regclient#96: the API goes on listing it."""
    fill(behind)
    hub.left_over = {("team/app", "gone"): OLD.digest}
    snap = scanned(opened(hub))
    assert set(snap.tags["tag"]) == {"latest", "1.0", "2.0"}
    assert snap.sees_pulls


@pytest.mark.parametrize(
    "nonsense",
    [
        ProxyResponse(200, [("Content-Type", "text/html")], b"<html>Down for maintenance</html>"),
        ProxyResponse(500, [], b'{"message": "ListRepositoryTags failed", "errinfo": {}}'),
        answered([]),
        answered({"results": {"a": 1}}),
        answered({"count": 1, "next": None, "results": ["latest", 7, None, {"name": 3}, {}]}),
        answered({"count": 1, "next": "https://elsewhere.example/v2", "results": []}),
    ],
    ids=["HTML", "500 (hub-feedback#1906, #2190)", "array", "no list", "wrong entries", "another host"],
)
def test_an_api_that_answers_nonsense_does_not_keep_a_scan_from_reading(
    behind: Registry, hub: DockerHubRegistry, nonsense: ProxyResponse
) -> None:
    fill(behind)
    hub.rules.insert(0, lambda request, _: nonsense if "/repositories/app/tags" in request.path else None)
    with pytest.warns(rs.CapabilityWarning, match="team/app: when tags were pushed"):
        snap = rs.scan(opened(hub, "docker.io"), repositories="team/app", progress=False)
    assert set(snap.tags["tag"]) == {"latest", "1.0", "2.0"}
    assert not len(snap.problems)


def test_fields_of_wrong_types_are_no_times_and_no_digests(behind: Registry, hub: DockerHubRegistry) -> None:
    Contents(pushes=[("team/app", "1", NEW)]).push_to(behind.url)
    entry = {"name": "1", "digest": 7, "media_type": [], "tag_last_pushed": "yesterday", "tag_last_pulled": 3}
    entry["images"] = [None, 3, {"digest": None}, {"digest": NEW.digest, "size": "big", "last_pulled": "2026-01-01"}]
    hub.rules.insert(
        0, lambda request, _: answered({"results": [entry], "next": None}) if "/app/tags?" in request.path else None
    )
    listing = opened(hub).manifests("team/app")
    assert listing is not None
    (row,) = listing.manifests
    assert (row.digest, row.tag_names, row.size, row.pulled, row.tags[0].pushed) == (
        NEW.digest,
        ("1",),
        None,
        None,
        None,
    )


def test_a_list_of_repositories_that_is_none_is_an_error(hub: DockerHubRegistry) -> None:
    hub.rules.insert(0, lambda request, _: answered({}) if "/namespaces/" in request.path else None)
    with pytest.raises(RegscopeError, match="does not answer with the repositories of team"):
        opened(hub).repositories()


def test_a_limit_of_the_api_is_waited_for_until_the_time_that_it_states(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    fill(behind)
    store = opened(hub)
    hub.api_limit, hub.api_reset = 2, datetime.now(UTC).timestamp() + 1
    assert scanned(store).tags["pushed"].notna().all()
    assert [line for line in hub.asked() if line.endswith(" 429")]


def test_pulls_that_are_used_up_are_said_with_what_is_left(behind: Registry, authority: CertificateAuthority) -> None:
    fill(behind)
    with reached(DockerHubRegistry(behind, authority, pulls=100)) as hub:
        store = opened(hub)
        snap = scanned(store)
        assert hub.manifests_pulled == 4
        assert store.rate_limit is not None
        assert (store.rate_limit.limit, store.rate_limit.window) == (100, 21600)
        assert 96 <= store.rate_limit.remaining < 100  # as the answer that came last has stated it
        assert snap.rate_limit == store.rate_limit
        hub.pulls = 4
        late = scanned(store)  # nothing is kept: cache=False
        assert set(late.problems["what"]) == {"manifest"}
        assert late.problems["error"].str.contains("429").all()


def test_a_repository_that_is_not_there_is_an_error(hub: DockerHubRegistry) -> None:
    with pytest.warns(rs.CapabilityWarning), pytest.raises(ResourceNotFound):
        opened(hub).tags("team/nothing")
