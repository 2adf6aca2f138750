"""GitLab: repositories of projects and groups, tags with their times by one request, and what a scan makes of them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import regscope as rs
from regscope.errors import PermissionDeny
from regscope.hosted.gitlab import GitLab
from regscope.registry.tokens import TokenService
from regscope.stores.registry_store import RegistryStore
from regscope.stores.wrapped_store import unwrapped
from tests.hosted.pushed import AMD, ARM, BOTH, FOUND, NEW, OLD, fill, found, uploaded
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.gitlab import GitLabRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.proxy import ProxyResponse
from tests.servers.registry import Registry

HOST, OWN_HOST = "registry.gitlab.com", "registry.example.com"
READS, DELETES = "glpat-reads", "glpat-deletes"


def opened(gitlab: GitLabRegistry, location: str = HOST, **options: Any) -> rs.ContentStore:
    access = {"username": gitlab.user, "password": gitlab.password, "verify": gitlab.ca} | options
    return rs.open(location, **access)


def scanned(store: rs.ContentStore, **options: Any) -> rs.Snapshot:
    return rs.scan(store, progress=False, **options)


@pytest.mark.parametrize("host", ["gitlab.com", "registry.gitlab.com.example.com", "registry.gitlab.example.com"])
def test_another_host_is_known_by_its_challenge_alone(host: str) -> None:
    assert GitLab.is_at("registry.gitlab.com")
    assert not GitLab.is_at(host)
    assert GitLab.is_named_by(TokenService("https://git.example.com/sub/jwt/auth", "container_registry"), host)
    assert not GitLab.is_named_by(TokenService("https://git.example.com/v2/token", "container_registry"), host)
    assert not GitLab.is_named_by(TokenService("https://git.example.com/jwt/auth", "registry"), host)


def test_a_store_pickles_with_what_it_has_learnt(gitlab: GitLabRegistry) -> None:
    store = opened(gitlab, f"{HOST}/team", api_token=READS)
    assert pickle.loads(pickle.dumps(store)).repositories() == store.repositories()
    again = pickle.loads(pickle.dumps(store))
    assert again.tags("team/app") == ["1.0", "2.0", "latest"]


def test_the_repositories_below_a_project_come_from_the_registry_itself(gitlab: GitLabRegistry) -> None:
    assert opened(gitlab, f"{HOST}/team/tools").repositories() == ["team/tools/base"]
    assert opened(gitlab, f"{HOST}/team/app").repositories() == ["team/app"]
    assert not [line for line in gitlab.asked() if "/api/v4/" in line]


@pytest.mark.parametrize("host", [HOST, OWN_HOST])
def test_the_repositories_of_a_group_come_from_the_gitlab_that_the_challenge_names(
    gitlab: GitLabRegistry, host: str
) -> None:
    store = opened(gitlab, host, api_token=READS)
    itself = unwrapped(store)
    assert isinstance(itself, RegistryStore)
    itself.client.ping()
    assert itself.provider is not None
    assert itself.provider.name == "GitLab"
    assert itself.provider.repositories("team") == ["team/app", "team/tools/base"]
    asked = [each for each in gitlab.requests if each.path.startswith("/api/v4/")]
    assert {each.headers["Host"] for each in asked} == {"gitlab.com" if host == HOST else "gitlab.example.com"}
    assert [each.path.partition("?")[0] for each in asked] == [
        "/api/v4/projects/team/registry/repositories",
        "/api/v4/groups/team/registry/repositories",
    ]


def test_a_group_is_opened_and_scanned(gitlab: GitLabRegistry) -> None:
    store = opened(gitlab, f"{HOST}/team", api_token=READS)
    snap = scanned(store)
    shown = {digest: how for digest, how in FOUND.items() if how in ("tag", "index child") and digest in found(snap)}
    assert found(snap) == shown
    assert {NEW.digest, BOTH.digest, AMD.digest, ARM.digest} <= set(shown)
    assert {*snap.placements["repository"]} == {"team/app", "team/tools/base"}
    assert not snap.sees_untagged
    assert not len(snap.problems)


def test_all_projects_of_the_user_where_no_group_is_named(gitlab: GitLabRegistry) -> None:
    """Joxit/docker-registry-ui#443, portainer/portainer#2956: the catalog is refused to whoever is no administrator."""
    assert opened(gitlab, api_token=READS).repositories() == ["other/app", "team/app", "team/tools/base"]


def test_an_access_token_as_the_password_of_the_login_opens_the_api_too(gitlab: GitLabRegistry) -> None:
    gitlab.password = READS
    assert opened(gitlab).repositories() == ["other/app", "team/app", "team/tools/base"]


def test_in_a_job_its_token_shows_its_own_project(gitlab: GitLabRegistry) -> None:
    gitlab.user, gitlab.job_project = "gitlab-ci-token", "team/app"
    gitlab.database = False
    assert opened(gitlab, f"{HOST}/team/app").repositories() == ["team/app"]
    (sent,) = {each.headers.get("JOB-TOKEN") for each in gitlab.requests if each.path.startswith("/api/v4/")}
    assert sent == gitlab.password
    with pytest.raises(PermissionDeny, match="neither a project nor a group other/app"):
        opened(gitlab, f"{HOST}/other/app").repositories()


def test_a_password_that_is_no_access_token_is_not_sent_to_the_api(gitlab: GitLabRegistry) -> None:
    with pytest.raises(PermissionDeny, match="neither a project nor a group team") as caught:
        opened(gitlab, f"{HOST}/team").repositories()
    assert "read_api" in caught.value.next_step
    sent = [each for each in gitlab.requests if each.path.startswith("/api/v4/")]
    assert sent
    assert not [each for each in sent if {"PRIVATE-TOKEN", "JOB-TOKEN", "Authorization"} & {*each.headers}]
    with pytest.raises(PermissionDeny, match="does not list its repositories") as caught:
        opened(gitlab).repositories()
    assert "api_token=" in caught.value.next_step


@pytest.mark.parametrize(("token", "said"), [("glpat-wrong", "401"), ("glpat-other", "403")])
def test_a_token_that_the_api_refuses_is_an_error_that_says_which_scope_is_missing(
    gitlab: GitLabRegistry, token: str, said: str
) -> None:
    with pytest.raises(PermissionDeny, match=said) as caught:
        opened(gitlab, f"{HOST}/team", api_token=token).repositories()
    assert "scope read_api" in caught.value.next_step
    assert token not in str(caught.value)


def test_a_redirect_of_the_api_does_not_take_the_token_to_another_host(gitlab: GitLabRegistry) -> None:
    def elsewhere(request: Any, forward: Any) -> ProxyResponse | None:
        if request.headers["Host"] != "gitlab.com" or not request.path.startswith("/api/"):
            return None
        return ProxyResponse(302, [("Location", f"https://gitlab.example.com{request.path}")])

    gitlab.rules.insert(0, elsewhere)
    with pytest.raises(PermissionDeny):
        opened(gitlab, f"{HOST}/team", api_token=READS).repositories()
    sent = {each.headers["Host"]: each.headers.get("PRIVATE-TOKEN") for each in gitlab.requests if "/api/" in each.path}
    assert sent == {"gitlab.com": READS, "gitlab.example.com": None}


def test_names_below_a_project_are_quoted_and_found_by_the_projects_above(
    behind: Registry, gitlab: GitLabRegistry
) -> None:
    Contents(pushes=[("team/subgroup/project/deep/image", "1", NEW)]).push_to(behind.url)
    gitlab.database = False
    store = opened(gitlab, f"{HOST}/team/subgroup/project/deep", api_token=READS)
    assert store.repositories() == ["team/subgroup/project/deep/image"]
    lines = [line for line in gitlab.asked() if "/api/v4/" in line]
    assert lines[0].startswith("GET /api/v4/projects/team%2Fsubgroup%2Fproject%2Fdeep/registry/repositories?")


def test_a_repository_that_is_being_deleted_is_left_out(gitlab: GitLabRegistry) -> None:
    gitlab.being_deleted = {"team/tools/base"}
    assert opened(gitlab, f"{HOST}/team", api_token=READS).repositories() == ["team/app"]


def test_lists_of_the_api_are_read_page_by_page(behind: Registry, gitlab: GitLabRegistry) -> None:
    names = [f"many/p{at}" for at in range(130)]
    Contents(pushes=[(name, "1", NEW) for name in names]).push_to(behind.url)
    assert opened(gitlab, f"{HOST}/many", api_token=READS).repositories() == sorted(names)
    asked = [line for line in gitlab.asked() if "/groups/many/" in line]
    assert [line.split()[1].partition("?")[2] for line in asked] == ["per_page=100", "per_page=100&page=2"]


def test_tags_are_read_page_by_page(behind: Registry, gitlab: GitLabRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regscope.hosted.gitlab._PAGE", 4)
    Contents(pushes=[("team/many", f"t{at}", NEW) for at in range(9)]).push_to(behind.url)
    gitlab.asked()
    assert opened(gitlab).tags("team/many") == [f"t{at}" for at in range(9)]
    lines = [line for line in gitlab.asked() if line.endswith(" 200") and "/gitlab/v1/" in line]
    assert [line.split()[1].partition("?")[2] for line in lines] == ["n=4", "last=t3&n=4", "last=t7&n=4"]


def test_a_second_scan_asks_for_the_lists_alone(gitlab: GitLabRegistry) -> None:
    store = opened(gitlab)
    names = ["other/app", "team/app", "team/tools/base"]
    first = scanned(store, repositories=names)
    gitlab.asked()
    second = scanned(store, repositories=names)
    asked = sorted(line.partition("?")[0] for line in gitlab.asked())
    assert asked == [f"GET /gitlab/v1/repositories/{name}/tags/list/" for name in names]
    assert second.fingerprint == first.fingerprint


def test_a_tag_has_the_time_at_which_it_was_published(behind: Registry, gitlab: GitLabRegistry) -> None:
    when = uploaded(behind, "team/app", NEW, 7)
    store = opened(gitlab, f"{HOST}/team/app")
    assert store.pushed("team/app", "latest") == when
    snap = scanned(store)
    assert snap.tags.set_index("tag")["pushed"]["1.0"] == when
    assert rs.plan(snap, rs.Retention(tags="1.0", older_than="9d")).goes.empty
    assert len(rs.plan(snap, rs.Retention(tags="1.0", older_than="5d")).goes) == 1


def test_public_repositories_need_no_login(behind: Registry, authority: CertificateAuthority) -> None:
    fill(behind)
    with reached(GitLabRegistry(behind, authority)) as profile:
        store = rs.open(f"{HOST}/team", verify=profile.ca)
        assert store.repositories() == ["team/app", "team/tools/base"]
        assert OLD.digest not in found(scanned(store))


def test_an_image_that_is_pushed_twice_is_one_manifest_with_two_tags(behind: Registry, gitlab: GitLabRegistry) -> None:
    each = image([layer("twice", 50)], 3)
    Contents(pushes=[("team/app", tag, each) for tag in ("a", "b")]).push_to(behind.url)
    itself = unwrapped(opened(gitlab))
    assert isinstance(itself, RegistryStore)
    listing = itself.manifests("team/app")
    assert listing is not None
    assert not listing.is_complete
    rows = {row.digest: row for row in listing.manifests}
    assert rows[each.digest].tag_names == ("a", "b")
    assert rows[each.digest].size is not None
    assert rows[BOTH.digest].media_type == BOTH.media_type


def test_capabilities_name_what_another_token_would_add(gitlab: GitLabRegistry) -> None:
    with pytest.warns(rs.CapabilityWarning, match="referrers API"):
        capabilities = opened(gitlab, f"{HOST}/team/app").capabilities
    assert capabilities is not None
    assert capabilities.provider == "GitLab"
    assert (capabilities.catalog, capabilities.delete, capabilities.tag_delete) == (True, True, True)
    assert "read_api" in " ".join(capabilities.would_add)
