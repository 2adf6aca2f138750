"""A tag alone is removed at GitHub by a stand-in, which is never left behind on the tag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import (
    RequestError,
    RequestErrorWithResponse,
    Unsupported,
)
from regscope.registry.retry_policy import RetryPolicy
from regscope.stores.registry_store import RegistryStore
from regscope.stores.removal import open_removal
from tests.hosted.pushed import NEW, OLD, fill
from tests.lab.drawn_registries import Contents
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ghcr import TOKEN, GHCRRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.proxy import Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry


@pytest.fixture
def ghcr(behind: Registry, authority: CertificateAuthority) -> Iterator[GHCRRegistry]:
    fill(behind)
    with reached(GHCRRegistry(behind, authority)) as profile:
        yield profile


def opened(ghcr: GHCRRegistry, token: str = TOKEN) -> RegistryStore:
    store = rs.open("ghcr.io/team", username="ann", password=token, verify=ghcr.ca, cache=False)
    assert isinstance(store, RegistryStore)
    store.client.retry_policy = RetryPolicy(settling=0.3)
    return store


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def applied(plan: rs.Plan, store: rs.ContentStore, folder: Path, **more: Any) -> rs.Applied:
    return plan.apply(store, dry_run=False, journal=folder / "journal", progress=False, **more)


def named(ghcr: GHCRRegistry, repository: str = "team/app") -> set[str]:
    """All manifests and tags that are there."""
    stored = ghcr.upstream_files.manifests(repository)
    return {each.digest for each in stored} | {tag for each in stored for tag in each.tags}


def test_a_tag_alone_is_removed_by_a_stand_in_that_goes_by_its_id(ghcr: GHCRRegistry) -> None:
    store = opened(ghcr)
    store.tags("team/app")
    ghcr.asked()
    before = named(ghcr)
    open_removal(store).untag("team/app", "1.0")
    lines = ghcr.asked()
    assert len([line for line in lines if line.startswith("DELETE /orgs/team/packages/container/app/versions/")]) == 1
    assert not [line for line in lines if line.startswith("DELETE /v2/")]
    assert named(ghcr) == before - {"1.0"}


def last_tagged(behind: Registry, authority: CertificateAuthority) -> GHCRRegistry:
    Contents(pushes=[("team/app", "only", NEW), ("team/app", None, OLD)]).push_to(behind.url)
    return GHCRRegistry(behind, authority, last_tagged_stays=True)


def test_the_last_tagged_version_goes_with_the_package_alone_and_the_error_says_so(
    behind: Registry, authority: CertificateAuthority, tmp_path: Path
) -> None:
    with reached(last_tagged(behind, authority)) as profile:
        store = opened(profile)
        done = applied(rs.plan(scanned(store), rs.Retention(tags="*")), store, tmp_path)
        assert isinstance(done.stopped_by, Unsupported)
        assert "the last tagged version of a package only with the package" in done.stopped_by.message
        assert "keep one tag" in done.stopped_by.next_step
        assert {NEW.digest, "only"} <= named(profile)


def test_where_the_stand_in_would_be_the_last_tagged_version_the_tag_comes_back_and_the_stand_in_goes(
    behind: Registry, authority: CertificateAuthority
) -> None:
    with reached(last_tagged(behind, authority)) as profile:
        before = named(profile)
        with pytest.raises(Unsupported, match="only with the package"):
            open_removal(opened(profile)).untag("team/app", "only")
        assert named(profile) == before
        assert profile.upstream_files.tags("team/app") == {"only": NEW.digest}


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "Must have admin rights."), (400, "5000 downloads"), (422, "Unprocessable"), (500, "")],
)
def test_a_stand_in_whose_deletion_is_refused_is_never_left_on_the_tag(
    ghcr: GHCRRegistry, status: int, message: str
) -> None:
    store = opened(ghcr)
    store.client.beside("https://api.github.com").retry_policy = RetryPolicy(refusals=0, backoff=0.01)
    before = named(ghcr)
    ghcr.refuses_deletions = [(status, message)] * 6
    with pytest.raises(RequestErrorWithResponse) as caught:
        open_removal(store).untag("team/app", "1.0")
    assert caught.value.status_code == status
    assert ghcr.upstream_files.tags("team/app")["1.0"] == NEW.digest
    assert before <= named(ghcr)


def test_a_stand_in_that_no_list_shows_in_time_is_not_left_on_the_tag(ghcr: GHCRRegistry) -> None:
    store = opened(ghcr)
    before = named(ghcr)
    late = _late(ghcr, before)
    ghcr.rules.insert(0, late)
    with pytest.raises(RequestError, match="does not list it"):
        open_removal(store).untag("team/app", "1.0")
    assert ghcr.upstream_files.tags("team/app")["1.0"] == NEW.digest
    ghcr.rules.remove(late)
    ghcr.unlisted.clear()
    open_removal(store).untag("team/app", "1.0")
    assert "1.0" not in named(ghcr)


def test_a_stand_in_that_is_listed_a_little_later_is_found(ghcr: GHCRRegistry) -> None:
    store = opened(ghcr)
    store.client.retry_policy = RetryPolicy(settling=10)
    before, asked = named(ghcr), [0]
    late = _late(ghcr, before)

    def for_two_lists(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        asked[0] += "/versions?" in request.path
        if asked[0] <= 2:
            return late(request, forward)
        ghcr.unlisted.clear()
        return None

    ghcr.rules.insert(0, for_two_lists)
    open_removal(store).untag("team/app", "1.0")
    assert named(ghcr) == before - {"1.0"}


def _late(ghcr: GHCRRegistry, known: set[str]) -> Any:
    def late(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/versions?" in request.path:
            ghcr.unlisted = {each.digest for each in ghcr.upstream_files.manifests("team/app")} - known
        return None

    return late
