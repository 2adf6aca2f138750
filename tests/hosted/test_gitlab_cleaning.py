"""Cleaning up at GitLab: a tag goes alone, what is protected stays, and all is undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import PermissionDeny, RequestError, ResourceNotFound, Unsupported
from regscope.registry.retry_policy import RetryPolicy
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.stores.registry_store import RegistryStore
from regscope.stores.removal import open_removal
from tests.hosted.pushed import AMD, ARM, BOTH, NEW, OLD, fill
from tests.lab.drawn_registries import Contents, index, state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.gitlab import GitLabRegistry
from tests.servers.hosted.hosted import answered, reached
from tests.servers.proxy import ProxyResponse
from tests.servers.registry import Registry


@pytest.fixture
def gitlab(behind: Registry, authority: CertificateAuthority) -> Iterator[GitLabRegistry]:
    with reached(GitLabRegistry(behind, authority, password="secret")) as profile:
        profile.access_tokens = {"glpat-reads": {"read_api"}, "glpat-deletes": {"api"}}
        yield profile


def opened(gitlab: GitLabRegistry, location: str = "registry.gitlab.com/team", **options: Any) -> rs.ContentStore:
    access = {"username": "ann", "password": gitlab.password, "api_token": "glpat-reads", "cache": False}
    return rs.open(location, verify=gitlab.ca, **access | options)


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def test_a_plan_frees_no_more_than_it_says_and_is_undone(
    behind: Registry, gitlab: GitLabRegistry, tmp_path: Path
) -> None:
    fill(behind)
    store = opened(gitlab)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"]))
    assert plan.at_most
    assert {*plan.steps.loc[plan.steps["action"] == "untag", "tag"]} == {"1.0"}
    before, blobs = state(behind.url, snap), behind.blob_digests()
    assert plan.apply(store, progress=False).ok
    assert state(behind.url, snap) == before
    gitlab.asked()

    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    deleted = [line.split()[1] for line in gitlab.asked() if line.startswith("DELETE") and line.endswith(" 202")]
    names = [path.rpartition("/")[2] for path in deleted]
    assert names.index(BOTH.digest) < names.index(AMD.digest)
    assert "1.0" in names
    after = state(behind.url, snap)
    assert after["team/app", "latest"] == NEW.digest
    assert {("team/app", name) for name in ("1.0", "2.0")}.isdisjoint(after)
    assert [after["team/app", each.digest] for each in (BOTH, AMD, ARM)] == [None] * 3

    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert state(behind.url, snap) == before

    assert plan.apply(store, dry_run=False, journal=tmp_path / "again", progress=False).ok
    behind.garbage_collect()
    freed = blobs.keys() - behind.blob_digests().keys()
    assert {*freed} <= {*plan.blobs["digest"]}
    assert 0 < sum(blobs[digest] for digest in freed) <= plan.freed_bytes
    assert OLD.digest in behind.blob_digests()  # it has no tag: GitLab shows it to nobody, and deletes it itself


@pytest.mark.parametrize("reference", ["1.0", "2.0"])
def test_a_protected_tag_is_an_error_that_says_so_and_stays(
    behind: Registry, gitlab: GitLabRegistry, tmp_path: Path, reference: str
) -> None:
    """`1.0` is removed alone, `2.0` goes with its image."""
    fill(behind)
    gitlab.protected = {("team/app", reference)}
    store = opened(gitlab)
    snap = scanned(store)
    before = state(behind.url, snap)
    done = rs.plan(snap, rs.Retention(tags=reference)).apply(
        store, dry_run=False, journal=tmp_path / "journal", progress=False
    )
    assert isinstance(done.stopped_by, PermissionDeny)
    assert "Protected container tags" in done.stopped_by.next_step
    assert state(behind.url, snap) == before


def test_a_tag_is_removed_alone_by_its_name(behind: Registry, gitlab: GitLabRegistry) -> None:
    fill(behind)
    store = opened(gitlab)
    gitlab.asked()
    open_removal(store).untag("team/app", "1.0")
    assert store.tags("team/app") == ["2.0", "latest"]
    assert not [line for line in gitlab.asked() if line.startswith(("PUT", "POST"))]
    with pytest.raises(ResourceNotFound):
        open_removal(store).untag("team/app", "1.0")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        ProxyResponse(404, [("Content-Type", "text/plain")], b"404 page not found"),
        answered({"errors": [{"code": "UNSUPPORTED", "message": "The operation is unsupported."}]}, status=405),
    ],
    ids=["400", "404", "405"],
)
def test_where_the_registry_deletes_no_tag_by_name_the_api_does(
    behind: Registry, gitlab: GitLabRegistry, answer: ProxyResponse | None
) -> None:
    """werf/werf#7866: an older registry does not know it, and its digest took the other tags along."""
    fill(behind)
    gitlab.by_name = False
    if answer is not None:
        by_name = "/manifests/1.0"
        gitlab.rules.insert(
            0, lambda request, _: answer if request.method == "DELETE" and by_name in request.path else None
        )
    store = opened(gitlab, api_token="glpat-deletes")
    open_removal(store).untag("team/app", "1.0")
    assert store.tags("team/app") == ["2.0", "latest"]
    open_removal(store).untag("team/app", "latest")
    lines = [line for line in gitlab.asked() if line.startswith("DELETE")]
    assert len(lines) == 3  # by name once, and that is remembered
    assert state(behind.url, scanned(opened(gitlab, "registry.gitlab.com/team/app")))["team/app", "2.0"] == BOTH.digest


def test_where_the_token_for_that_may_only_read_the_error_says_which_scope_is_missing(
    behind: Registry, gitlab: GitLabRegistry
) -> None:
    fill(behind)
    gitlab.by_name = False
    with pytest.raises(PermissionDeny) as caught:
        open_removal(opened(gitlab)).untag("team/app", "1.0")
    assert "scope" in caught.value.next_step


def test_a_tag_that_gitlab_deletes_later_is_waited_for_and_then_reported(
    behind: Registry, gitlab: GitLabRegistry
) -> None:
    fill(behind)
    gitlab.rules.insert(0, lambda request, _: ProxyResponse(202) if request.method == "DELETE" else None)
    store = opened(gitlab)
    assert isinstance(store, RegistryStore)
    store.client.retry_policy = RetryPolicy(settling=0.1)
    with pytest.raises(RequestError, match="still serves it"):
        open_removal(store).untag("team/app", "1.0")


def test_what_an_unseen_index_refers_to_stays_and_the_run_says_why(
    behind: Registry, gitlab: GitLabRegistry, tmp_path: Path
) -> None:
    """The index that `multi` pointed to before is listed nowhere, and still needs AMD."""
    before, now = index([AMD]), index([AMD, ARM])
    Contents(pushes=[("team/app", "multi", before), ("team/app", "multi", now)]).push_to(behind.url)
    store = opened(gitlab)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags="multi"))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert isinstance(done.stopped_by, Unsupported)
    assert "an index without a tag" in done.stopped_by.message
    after = state(behind.url, snap)
    assert after["team/app", now.digest] is None
    assert after["team/app", AMD.digest] == AMD.digest
    assert rs.undo(done.journal, store, dry_run=False, progress=False).ok
    assert state(behind.url, snap)["team/app", "multi"] == now.digest


def test_skopeo_856_a_login_that_may_not_delete_still_reads_and_the_error_says_what_is_missing(
    behind: Registry, gitlab: GitLabRegistry, tmp_path: Path
) -> None:
    """Its one token for both was refused, so the manifest could not be read, and the error was about that."""
    fill(behind)
    gitlab.may_delete = False
    store = opened(gitlab)
    snap = scanned(store)
    before = state(behind.url, snap)
    plan = rs.plan(snap, rs.Retention(tags="*"))
    with pytest.raises(PermissionDeny, match="may not do this"):
        plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert state(behind.url, snap) == before
    with pytest.raises(PermissionDeny) as caught:
        open_removal(store).untag("team/app", "1.0")
    assert "role that may delete images" in caught.value.next_step


def test_gitlab_registry_cleaner_4_more_tags_than_a_page_go_in_one_run(
    behind: Registry, gitlab: GitLabRegistry, tmp_path: Path
) -> None:
    """10up/Gitlab-Registry-Cleaner#4: it read the list page by page while it deleted, and ended after 90 of 1,200."""
    Contents(pushes=[("team/app", f"t{at}", OLD if at % 2 else NEW) for at in range(120)]).push_to(behind.url)
    store = opened(gitlab)
    plan = rs.plan(scanned(store), rs.Retention(tags="*", exclude_tags="t0"))
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    assert store.tags("team/app") == ["t0"]


def test_tokens_that_expire_in_mid_run_are_renewed(behind: Registry, gitlab: GitLabRegistry, tmp_path: Path) -> None:
    fill(behind)
    store = opened(gitlab)
    plan = rs.plan(scanned(store), rs.Retention(tags="*"))
    gitlab.forget_tokens()
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    assert store.tags("team/app") == []


def test_how_bytes_come_back_is_known_without_a_request(gitlab: GitLabRegistry) -> None:
    store = opened(gitlab)
    gitlab.requests.clear()
    (said,) = how_space_is_freed(store)
    assert "after a day" in said
    assert "registry-garbage-collect" in said
    assert not gitlab.requests
