"""GitHub's tokens and limits: which tokens open the API, what is said where they do not, and when to wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import regscope as rs
from regscope.errors import AuthFailed, PermissionDeny, TooManyRequests
from tests.hosted.pushed import FOUND, NEW, OLD, fill, found
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ghcr import SCOPES, TOKEN, GHCRRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry

OTHER, FINE, WORKFLOW = "ghp_other", "github_pat_fine", "ghs_workflow"


@pytest.fixture
def ghcr(behind: Registry, authority: CertificateAuthority) -> Iterator[GHCRRegistry]:
    fill(behind)
    with reached(GHCRRegistry(behind, authority, public=True)) as profile:
        yield profile


def opened(
    ghcr: GHCRRegistry, token: str | None = TOKEN, location: str = "ghcr.io/team", **more: Any
) -> rs.ContentStore:
    login = {"username": "ann", "password": token} if token else {}
    return rs.open(location, verify=ghcr.ca, cache=False, **login, **more)


def scanned(store: rs.ContentStore, **more: Any) -> rs.Snapshot:
    return rs.scan(store, progress=False, **more)


def test_without_a_token_a_scan_sees_what_any_registry_shows(ghcr: GHCRRegistry) -> None:
    with pytest.warns(rs.CapabilityWarning, match="wants a token.*read:packages"):
        snap = scanned(opened(ghcr, None, "ghcr.io"), repositories=["team/app"])
    assert found(snap)[NEW.digest] == "tag"
    assert OLD.digest not in found(snap)
    assert not snap.sees_untagged
    assert not len(snap.problems)
    assert not [request for request in ghcr.requests if "github" in request.headers["Host"]]


def test_without_a_token_the_packages_of_an_owner_are_not_listed(ghcr: GHCRRegistry) -> None:
    with pytest.raises(AuthFailed, match="wants a token") as caught:
        opened(ghcr, None).repositories()
    assert "classic personal access token" in caught.value.next_step
    assert "read:packages" in caught.value.next_step


def test_a_token_that_is_wrong_or_has_expired_is_told(ghcr: GHCRRegistry) -> None:
    store = opened(ghcr)
    assert store.repositories()
    ghcr.tokens.clear()
    with pytest.raises(AuthFailed, match="refuses the token for team, or it has expired") as caught:
        store.repositories()
    assert "docker login ghcr.io" in caught.value.next_step
    assert TOKEN not in str(caught.value)


def test_a_token_without_read_packages_is_told_which_scope_it_needs(ghcr: GHCRRegistry) -> None:
    ghcr.tokens = {TOKEN: ("repo",)}
    with pytest.raises(PermissionDeny, match="at least read:packages scope") as caught:
        opened(ghcr).repositories()
    assert "read:packages" in caught.value.next_step
    with pytest.warns(rs.CapabilityWarning, match="You need at least read:packages"):
        snap = scanned(opened(ghcr, location="ghcr.io"), repositories=["team/app"])
    assert not snap.sees_untagged


def test_a_fine_grained_token_is_told_that_it_does_not_do(ghcr: GHCRRegistry) -> None:
    ghcr.tokens = {FINE: ()}
    with pytest.raises(PermissionDeny) as caught:
        opened(ghcr, FINE).repositories()
    assert "Fine-grained tokens do not open the API of packages" in caught.value.next_step


def test_a_workflows_token_reads_named_packages_and_is_not_asked_whose_it_is(
    behind: Registry, authority: CertificateAuthority
) -> None:
    fill(behind)
    with reached(GHCRRegistry(behind, authority, tokens={WORKFLOW: SCOPES}, kind="User")) as profile:
        with pytest.raises(PermissionDeny) as caught:
            opened(profile, WORKFLOW).repositories()
        assert "name the repositories" in caught.value.next_step
        assert found(scanned(opened(profile, WORKFLOW, "ghcr.io"), repositories=["team/app"])) == FOUND
        assert not [line for line in profile.asked() if line.startswith("GET /user ")]


@pytest.mark.parametrize("login", [{}, {TOKEN: ("repo",)}], ids=["none", "one that may not"])
def test_the_token_for_the_api_is_taken_where_the_login_does_not_do(
    ghcr: GHCRRegistry, login: dict[str, tuple[str, ...]]
) -> None:
    ghcr.tokens = {**login, OTHER: SCOPES}
    store = opened(ghcr, TOKEN if login else None, api_token=OTHER)
    assert store.repositories() == ["team/app", "team/tools/base"]
    assert found(scanned(store)) == FOUND


def test_the_token_for_the_api_is_taken_once_the_login_has_expired(ghcr: GHCRRegistry) -> None:
    store = opened(ghcr, api_token=OTHER)
    assert store.tags("team/app")
    ghcr.tokens = {OTHER: SCOPES}
    assert store.tags("team/app") == ["1.0", "2.0", "latest"]


def test_the_token_for_the_api_can_come_from_the_environment(
    ghcr: GHCRRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGSCOPE_API_TOKEN", TOKEN)
    assert found(scanned(opened(ghcr, None))) == FOUND


@pytest.mark.parametrize("form", ["primary", "secondary", "429"])
def test_a_limit_is_waited_for_in_each_form_that_states_a_time(ghcr: GHCRRegistry, form: str) -> None:
    store = opened(ghcr)
    ghcr.limited = [form]
    assert store.repositories() == ["team/app", "team/tools/base"]
    assert not ghcr.limited
    assert [request.status for request in ghcr.requests if "/users/" in request.path] == [
        429 if form == "429" else 403,
        200,
    ]


def test_a_limit_that_lasts_for_longer_is_an_error_that_says_until_when(ghcr: GHCRRegistry) -> None:
    ghcr.limited = ["until later"]
    with pytest.raises(TooManyRequests, match="API rate limit exceeded") as caught:
        opened(ghcr).repositories()
    assert "asks to be left alone until" in caught.value.next_step


def test_a_secondary_limit_without_a_time_is_no_missing_permission(ghcr: GHCRRegistry) -> None:
    """snok/container-retention-policy#59."""
    ghcr.limited = ["without a time"]
    with pytest.raises(TooManyRequests, match="secondary rate limit") as caught:
        opened(ghcr).repositories()
    assert "Wait some minutes" in caught.value.next_step
