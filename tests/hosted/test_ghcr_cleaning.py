"""Cleaning up at GitHub: versions are deleted by their ids, a tag alone by a stand-in, and what is refused is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import (
    AuthFailed,
    PermissionDeny,
    ResourceNotFound,
    Unsupported,
)
from regscope.registry.retry_policy import RetryPolicy
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.spec.digest import Digest
from regscope.stores.registry_store import RegistryStore
from regscope.stores.removal import open_removal
from tests.hosted.pushed import AMD, ARM, BOTH, LONE, NEW, OLD, SBOM, fill, uploaded
from tests.lab.drawn_registries import state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ghcr import SCOPES, TOKEN, GHCRRegistry
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


def deletions(ghcr: GHCRRegistry) -> list[str]:
    return [line for line in ghcr.asked() if line.startswith("DELETE")]


def test_a_plan_frees_what_it_says_by_ids_and_is_undone_by_restoring(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    store = opened(ghcr)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"], untagged=True, repositories="team/*"))
    assert not plan.at_most
    assert {*plan.steps.loc[plan.steps["action"] == "untag", "tag"]} == {"1.0"}
    before, blobs = state(behind.url, snap), behind.blob_digests()
    ghcr.asked()
    assert plan.apply(store, progress=False).ok
    assert state(behind.url, snap) == before
    assert [line[-4:] for line in ghcr.asked() if not line.startswith(("GET", "HEAD"))] == [
        " 400"
    ]  # whether it may push

    ids = {each.digest: ghcr.id_of("team/app", each.digest) for each in (BOTH, AMD, ARM, SBOM, OLD, LONE)}
    done = applied(plan, store, tmp_path)
    assert done.ok, repr(done)
    gone = deletions(ghcr)
    place = "DELETE /orgs/team/packages/container/app/versions/"
    assert {f"{place}{number} 204" for number in ids.values()} < {*gone}
    assert gone.index(f"{place}{ids[BOTH.digest]} 204") < gone.index(f"{place}{ids[AMD.digest]} 204")
    assert named(ghcr) == {NEW.digest, "latest"}
    entries = {entry.digest: entry.native_id for entry in read_journal(tmp_path / "journal").entries if not entry.tags}
    assert {digest: str(number) for digest, number in ids.items() if digest in entries}.items() <= entries.items()

    behind.garbage_collect()
    freed = blobs.keys() - behind.blob_digests().keys()
    assert {*freed} == {*plan.blobs["digest"]}
    assert sum(blobs[digest] for digest in freed) == plan.freed_bytes

    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert state(behind.url, snap) == before
    assert {*ids.values()} <= {*ghcr.restored}


def test_a_manifest_goes_with_all_its_tags_by_one_deletion(ghcr: GHCRRegistry) -> None:
    store = opened(ghcr)
    number = ghcr.id_of("team/app", NEW.digest)
    open_removal(store).delete_manifest("team/app", Digest(NEW.digest))
    assert deletions(ghcr) == [f"DELETE /orgs/team/packages/container/app/versions/{number} 204"]
    assert store.tags("team/app") == ["2.0"]


def test_untagged_versions_are_as_old_as_their_creation(behind: Registry, ghcr: GHCRRegistry) -> None:
    uploaded(behind, "team/app", OLD, 5)
    uploaded(behind, "team/app", LONE, 20)
    plan = rs.plan(scanned(opened(ghcr)), rs.Retention(untagged="10d", repositories="team/app"))
    assert LONE.digest in {*plan.steps["digest"]}
    assert OLD.digest not in {*plan.steps["digest"]}


def test_how_bytes_come_back_names_the_thirty_days(ghcr: GHCRRegistry) -> None:
    (said,) = how_space_is_freed(opened(ghcr))
    assert "For 30 days a deleted version can be restored" in said


def test_a_public_version_with_many_downloads_is_kept_and_the_error_says_why(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    store = opened(ghcr)
    snap = scanned(store)
    ghcr.downloads = {("team/app", BOTH.digest)}
    before = state(behind.url, snap)
    done = applied(rs.plan(snap, rs.Retention(tags="2.0")), store, tmp_path)
    assert isinstance(done.stopped_by, Unsupported)
    assert "more than 5,000 downloads" in done.stopped_by.message
    assert "make the package private" in done.stopped_by.next_step
    after = state(behind.url, snap)
    assert {key: after.get(key) for key in before if key[1] != SBOM.digest} == {
        key: digest for key, digest in before.items() if key[1] != SBOM.digest
    }


def test_what_was_deleted_since_the_list_counts_as_gone(ghcr: GHCRRegistry, tmp_path: Path) -> None:
    """GitHub's list is older than a deletion: its 404 is none of a missing permission."""
    store = opened(ghcr)
    plan = rs.plan(scanned(store), rs.Retention(untagged=True, repositories="team/app"))

    def by_another(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if request.method == "DELETE" and forward().status == 204:  # somebody else's, a moment before
            return ProxyResponse(404, [("Content-Type", "application/json")], b'{"message": "Package not found."}')
        return None

    ghcr.rules.insert(0, by_another)
    done = applied(plan, store, tmp_path)
    assert done.ok, repr(done)
    assert {*done.table["outcome"]} == {"gone already"}
    assert not {OLD.digest, LONE.digest} & named(ghcr)


def test_a_version_that_is_gone_is_not_found_and_no_stand_in_for_another_error(ghcr: GHCRRegistry) -> None:
    with pytest.raises(ResourceNotFound) as caught:
        open_removal(opened(ghcr)).delete_manifest("team/app", Digest.of(b"nothing"))
    assert caught.value.code


def test_a_404_for_what_is_there_is_a_missing_role(behind: Registry, ghcr: GHCRRegistry, tmp_path: Path) -> None:
    store = opened(ghcr)
    snap = scanned(store)
    before = state(behind.url, snap)
    ghcr.not_admin = {"team/app"}
    done = applied(rs.plan(snap, rs.Retention(untagged=True)), store, tmp_path)
    assert isinstance(done.stopped_by, PermissionDeny)
    assert "the role Admin" in done.stopped_by.next_step
    assert state(behind.url, snap) == before


def test_without_delete_packages_nothing_is_begun(behind: Registry, ghcr: GHCRRegistry, tmp_path: Path) -> None:
    ghcr.tokens = {TOKEN: ("read:packages", "write:packages")}
    store = opened(ghcr)
    snap = scanned(store)
    before = state(behind.url, snap)
    plan = rs.plan(snap, rs.Retention(tags="1.0"))
    with pytest.raises(PermissionDeny, match="it has the scopes read:packages, write:packages") as caught:
        applied(plan, store, tmp_path)
    assert "delete:packages" in caught.value.next_step
    with pytest.raises(PermissionDeny):
        open_removal(store).untag("team/app", "1.0")
    assert state(behind.url, snap) == before
    assert not [line for line in ghcr.asked() if not line.startswith(("GET", "HEAD"))]


def test_a_token_that_expires_in_mid_run_stops_it_and_the_same_journal_goes_on_with_another(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    store = opened(ghcr)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags="2.0", untagged=True))
    deleted = [0]

    def expires(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        deleted[0] += request.method == "DELETE"
        if deleted[0] == 3:
            ghcr.tokens = {"ghp_new": SCOPES}
        return None

    ghcr.rules.insert(0, expires)
    done = applied(plan, store, tmp_path)
    assert isinstance(done.stopped_by, AuthFailed)
    assert "it has expired" in done.stopped_by.message
    assert 0 < (done.table["outcome"] == "done").sum() < len(plan.steps)
    again = applied(plan, opened(ghcr, "ghp_new"), tmp_path)
    assert again.ok, repr(again)
    assert not {BOTH.digest, AMD.digest, ARM.digest, OLD.digest, LONE.digest} & named(ghcr)


def test_the_limit_in_mid_run_is_waited_for(ghcr: GHCRRegistry, tmp_path: Path) -> None:
    store = opened(ghcr)
    plan = rs.plan(scanned(store), rs.Retention(tags="2.0", untagged=True))
    ghcr.limited = ["secondary", "429", "primary"]
    done = applied(plan, store, tmp_path)
    assert done.ok, repr(done)
    assert not ghcr.limited


def test_children_of_an_index_that_stays_are_never_deleted(ghcr: GHCRRegistry, tmp_path: Path) -> None:
    store = opened(ghcr)
    done = applied(rs.plan(scanned(store), rs.Retention(untagged=True)), store, tmp_path)
    assert done.ok, repr(done)
    kept = named(ghcr)
    assert {child["digest"] for child in json.loads(BOTH.raw)["manifests"]} <= kept
    assert {BOTH.digest, SBOM.digest, NEW.digest} <= kept
    assert not {OLD.digest, LONE.digest} & kept
