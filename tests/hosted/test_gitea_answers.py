"""Gitea and Forgejo in other versions and installations, and answers that are wrong, late or refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator

import pytest

import regscope as rs
from regscope.errors import AuthFailed, RegscopeError, ResourceNotFound
from regscope.hosted.gitea import Gitea
from regscope.registry.retry_policy import RetryPolicy
from regscope.registry.tokens import TokenService
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.stores.registry_store import RegistryStore
from tests.hosted.pushed import FOUND, NEW, OLD, SBOM, fill, found, uploaded
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.gitea import GiteaRegistry
from tests.servers.hosted.hosted import answered, reached
from tests.servers.proxy import ProxyRequest, ProxyResponse
from tests.servers.registry import Registry

HOST, CODEBERG = GiteaRegistry.hosts
VERSIONS = "/api/v1/packages/team/container/app"
QUICK = RetryPolicy(failures=1, refusals=1, backoff=0.01)


@pytest.fixture
def gitea(behind: Registry, authority: CertificateAuthority) -> Iterator[GiteaRegistry]:
    fill(behind)
    with reached(GiteaRegistry(behind, authority)) as profile:
        yield profile


def opened(gitea: GiteaRegistry, location: str = HOST, password: str = "secret") -> RegistryStore:
    store = rs.open(location, username="team", password=password, verify=gitea.ca, cache=False)
    assert isinstance(store, RegistryStore)
    store.client.retry_policy = QUICK  # of the requests to the list of packages
    return store


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def lists(gitea: GiteaRegistry, answer: Callable[[ProxyRequest], ProxyResponse | None], path: str = VERSIONS) -> None:
    """Answer the requests for a list in this way."""
    gitea.rules.insert(0, lambda request, _: answer(request) if request.path.partition("?")[0] == path else None)


@pytest.mark.parametrize(
    "form",
    [{}, {"lists_one_package": False}, {"below": "/git"}, {"page": 2}],
    ids=["new", "Forgejo", "older, below a path", "two on a page"],
)
def test_every_version_shows_the_same(
    behind: Registry, authority: CertificateAuthority, form: dict[str, object]
) -> None:
    fill(behind)
    with reached(GiteaRegistry(behind, authority, **form)) as profile:  # type: ignore[arg-type]
        store = opened(profile)
        snap = scanned(store)
        assert found(snap) == FOUND
        assert snap.sees_everything
        assert not len(snap.problems)
        with pytest.raises(ResourceNotFound):
            store.tags("team/nothing")


def test_a_server_without_a_list_of_one_package_is_asked_for_it_once(
    behind: Registry, authority: CertificateAuthority
) -> None:
    fill(behind)
    with reached(GiteaRegistry(behind, authority, lists_one_package=False)) as profile:
        store = opened(profile)
        store.tags("team/app")
        store.tags("team/tools/base")
        profile.asked()
        assert store.tags("team/app") == ["1.0", "2.0", "latest"]
        assert profile.asked() == ["GET /api/v1/packages/team?type=container&q=app&limit=50&page=1 200"]


def test_at_codeberg_a_path_is_a_prefix(gitea: GiteaRegistry) -> None:
    store = opened(gitea, f"{CODEBERG}/team")
    assert store.repositories() == ["team/app", "team/tools/base"]
    snap = scanned(store)
    assert found(snap) == FOUND
    assert snap.filtered == ("repositories",)  # other owners share the blobs
    assert opened(gitea, f"{CODEBERG}/team/tools").repositories() == ["team/tools/base"]
    with pytest.raises(ResourceNotFound):
        opened(gitea, f"{CODEBERG}/nobody").repositories()


@pytest.mark.parametrize("administrator", [True, False])
def test_freed_bytes_are_exact_for_who_sees_all_owners(
    behind: Registry, authority: CertificateAuthority, administrator: bool
) -> None:
    fill(behind)
    with reached(GiteaRegistry(behind, authority, administrator=administrator)) as profile:
        snap = scanned(opened(profile))
        plan = rs.plan(snap, rs.Retention(untagged=True))
        assert plan.at_most is not administrator
        profile.asked()
        scanned(opened(profile, password=profile.token("read:package")))  # which may not ask who it is
        assert [line for line in profile.asked() if "/user" in line] == ["GET /api/v1/user 403"]


def test_untagged_manifests_are_as_old_as_their_push(behind: Registry, gitea: GiteaRegistry) -> None:
    uploaded(behind, "team/app", OLD, 5)
    when = uploaded(behind, "team/app", NEW, 7)
    store = opened(gitea)
    snap = scanned(store)
    assert store.pushed("team/app", "latest") == when
    plan = rs.plan(snap, rs.Retention(untagged="6d", repositories="team/app"))
    assert OLD.digest not in {*plan.steps["digest"]}
    assert SBOM.digest not in {*plan.steps["digest"]}


def test_a_list_that_changes_between_two_pages_is_read_again(behind: Registry, authority: CertificateAuthority) -> None:
    Contents(pushes=[("team/app", f"t{at}", image([layer(f"{at}", 20)], 5)) for at in range(4)]).push_to(behind.url)
    with reached(GiteaRegistry(behind, authority, page=3)) as profile:
        left = [1]

        def deleting(request: ProxyRequest) -> None:
            if "page=2" in request.path and left:
                left.pop()
                profile.upstream_files.remove_tag("team/app", "t3")

        lists(profile, deleting)
        store = opened(profile)
        assert store.tags("team/app") == ["t0", "t1", "t2"]
        assert store.sees_untagged
        assert len([line for line in profile.asked() if line.partition("?")[0] == f"GET {VERSIONS}"]) == 6  # twice 3


def test_a_list_that_never_stands_still_is_not_complete(behind: Registry, authority: CertificateAuthority) -> None:
    fill(behind)
    with reached(GiteaRegistry(behind, authority)) as profile:
        rows = [{"id": at, "name": "app", "version": OLD.digest} for at in (1, 2)]
        lists(profile, lambda request: answered(rows if "page=1" in request.path else [], ("X-Total-Count", "3")))
        store = opened(profile)
        assert store.tags("team/app") == []
        assert not store.sees_untagged
        assert store.untagged("team/app") == []


@pytest.mark.parametrize(
    "answer",
    [
        ProxyResponse(200, [("Content-Type", "text/html")], b"<html>Sign in</html>"),
        answered([{"id": "1", "name": "app", "version": "1.0"}]),
        answered([{"id": 1, "name": "app", "version": ""}]),
        answered([{"id": 1, "name": "app"}]),
        answered([7]),
        answered([{"id": 1, "name": "app", "version": "sha256:short"}]),
        answered({"message": "maintenance"}, status=503),
        answered({"message": "slow down"}, ("Retry-After", "0"), status=429),
    ],
    ids=["HTML", "no id", "an empty version", "no version", "a number", "no digest", "503", "429"],
)
def test_an_answer_that_is_none_is_a_problem_and_no_gap(gitea: GiteaRegistry, answer: ProxyResponse) -> None:
    lists(gitea, lambda _: answer)
    store = opened(gitea)
    with pytest.raises(RegscopeError) as caught:
        store.tags("team/app")
    assert caught.value.next_step
    snap = scanned(store)
    assert {*snap.problems["repository"]} == {"team/app"}
    assert not snap.sees_everything


def test_a_refusal_because_of_too_many_requests_is_waited_for(gitea: GiteaRegistry) -> None:
    left = [answered({"message": "slow down"}, ("Retry-After", "0"), status=429)]
    lists(gitea, lambda _: left.pop() if left else None)
    assert opened(gitea).tags("team/app") == ["1.0", "2.0", "latest"]


def test_without_a_total_a_list_is_read_until_an_empty_page(gitea: GiteaRegistry) -> None:
    gitea.page = 3

    def without(request: ProxyRequest, forward: Callable[[], ProxyResponse]) -> ProxyResponse | None:
        answer = forward() if request.path.startswith(VERSIONS) else None
        if answer is not None:
            answer.set_header("X-Total-Count", None)
        return answer

    gitea.rules.insert(0, without)
    assert found(scanned(opened(gitea))) == FOUND


@pytest.mark.parametrize(
    "files", [[], [{"name": "manifest.json"}], {}, None], ids=["none", "no hash", "object", "null"]
)
def test_a_version_whose_files_name_no_manifest_is_a_problem(gitea: GiteaRegistry, files: object) -> None:
    lists(gitea, lambda _: ProxyResponse(200, [], json.dumps(files).encode()), f"{VERSIONS}/1.0/files")
    with pytest.raises(RegscopeError, match="have no manifest") as caught:
        opened(gitea).tags("team/app")
    assert caught.value.next_step


def test_a_tag_that_was_deleted_since_it_was_listed_is_left_out(gitea: GiteaRegistry) -> None:
    lists(gitea, lambda _: answered({"message": "package does not exist"}, status=404), f"{VERSIONS}/1.0/files")
    store = opened(gitea)
    assert store.tags("team/app") == ["2.0", "latest"]


def test_where_the_api_is_not_there_a_scan_sees_what_any_registry_shows(gitea: GiteaRegistry) -> None:
    gitea.rules.insert(0, lambda request, _: ProxyResponse(404) if request.path.startswith("/api/") else None)
    with pytest.warns(rs.CapabilityWarning, match="manifests without a tag and push times are not shown"):
        snap = scanned(opened(gitea))
    assert not snap.sees_untagged
    assert not len(snap.problems)
    assert found(snap)[NEW.digest] == "tag"


def test_a_wrong_password_is_an_error_that_says_so(gitea: GiteaRegistry) -> None:
    with pytest.raises(AuthFailed):
        opened(gitea, password="wrong").repositories()


def test_a_login_that_the_api_refuses_is_replaced_by_the_api_token(gitea: GiteaRegistry) -> None:
    refused = opened(gitea)
    lists(gitea, lambda request: _refused(request.headers.get("Authorization", "")))
    with pytest.warns(rs.CapabilityWarning, match="Log in with a user's name, and as the password a token"):
        assert refused.tags("team/app") == ["1.0", "2.0", "latest"]
    given = {"username": "team", "password": "secret", "api_token": gitea.token("read:package")}
    store = rs.open(HOST, verify=gitea.ca, cache=False, **given)
    assert store.tags("team/app") == ["1.0", "2.0", "latest"]
    assert OLD.digest in store.untagged("team/app")


def test_a_token_of_the_registry_that_expires_in_mid_run_is_renewed(gitea: GiteaRegistry) -> None:
    store = opened(gitea)
    store.tags("team/app")
    gitea.tokens.clear()
    assert found(scanned(store)) == FOUND


def test_capabilities_name_the_provider_and_how_bytes_come_back(gitea: GiteaRegistry) -> None:
    store = opened(gitea)
    store.tags("team/app")
    with pytest.warns(rs.CapabilityWarning):
        capabilities = store.capabilities
    assert capabilities is not None
    assert capabilities.provider == "Gitea or Forgejo"
    assert (capabilities.delete, capabilities.tag_delete) == (True, True)
    assert "read:package" in capabilities.needs
    assert any("cleanup_packages" in said for said in how_space_is_freed(store))


def test_a_store_can_be_sent_to_another_process(gitea: GiteaRegistry) -> None:
    store = opened(gitea)
    store.tags("team/app")
    assert pickle.loads(pickle.dumps(store)).tags("team/app") == ["1.0", "2.0", "latest"]


@pytest.mark.parametrize(
    ("realm", "service", "is_it"),
    [
        ("https://git.example.com/v2/token", "container_registry", True),
        ("https://git.example.com/git/v2/token", "", True),
        ("https://gitlab.example.com/jwt/auth", "container_registry", False),
        ("https://other.example.com/v2/token", "", False),
        ("https://gcr.io/v2/token", "gcr.io", False),
    ],
)
def test_it_is_known_by_its_token_service(realm: str, service: str, is_it: bool) -> None:
    assert Gitea.is_named_by(TokenService(realm, service), "git.example.com") is is_it


def _refused(authorization: str) -> ProxyResponse | None:
    said = {"message": "token does not have at least one of required scope(s), required=[read:package]"}
    return answered(said, status=403) if authorization.startswith("Basic ") else None
