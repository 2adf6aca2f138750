"""Cleaning up at Azure: locked things stay, a tag goes alone, referrers go with their subject, and all is undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ResourceNotFound, Unsupported
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.spec.digest import Digest
from regscope.stores.removal import open_removal
from tests.hosted.pushed import BOTH, LONE, NEW, OLD, SBOM, fill, uploaded
from tests.lab.drawn_registries import state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.azure import AzureRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def azure(behind: Registry, authority: CertificateAuthority) -> Iterator[AzureRegistry]:
    fill(behind)
    with reached(AzureRegistry(behind, authority, password="secret")) as profile:
        yield profile


def opened(azure: AzureRegistry) -> rs.ContentStore:
    return rs.open("ours.azurecr.io", username="ann", password=azure.password, verify=azure.ca, cache=False)


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def test_a_plan_frees_what_it_says_and_is_undone(behind: Registry, azure: AzureRegistry, tmp_path: Path) -> None:
    store = opened(azure)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"], untagged=True, repositories="team/*"))
    assert {*plan.steps.loc[plan.steps["action"] == "untag", "tag"]} == {"1.0"}
    before, blobs = state(behind.url, snap), behind.blob_digests()
    assert plan.apply(store, progress=False).ok
    assert state(behind.url, snap) == before
    azure.asked()

    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert "DELETE /acr/v1/team/app/_tags/1.0 202" in azure.asked()
    after = state(behind.url, snap)
    assert after["team/app", "latest"] == NEW.digest
    assert ("team/app", "1.0") not in after
    for gone in (BOTH, SBOM, OLD, LONE):  # the server had taken SBOM along
        assert after["team/app", gone.digest] is None

    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert state(behind.url, snap) == before

    assert plan.apply(store, dry_run=False, journal=tmp_path / "again", progress=False).ok
    behind.garbage_collect()
    freed = blobs.keys() - behind.blob_digests().keys()
    assert {*freed} == {*plan.blobs["digest"]}
    assert sum(blobs[digest] for digest in freed) == plan.freed_bytes


def test_what_is_locked_stays_and_the_plan_says_why(behind: Registry, azure: AzureRegistry, tmp_path: Path) -> None:
    azure.locked = {("team/app", "1.0"), ("team/app", OLD.digest)}
    store = opened(azure)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags="*", untagged=True, repositories="team/app"))
    spared = plan.spared.set_index(plan.spared["tag"].fillna(plan.spared["digest"]))["reason"]
    assert {*spared.index} == {"1.0", "latest", OLD.digest}
    assert {*spared} == {"it is locked in the registry"}
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    after = state(behind.url, snap)
    assert {name for (repository, name), digest in after.items() if digest and repository == "team/app"} == {
        "1.0",
        "latest",
        NEW.digest,
        OLD.digest,
    }


def test_what_was_locked_since_the_plan_is_an_error_that_says_so(
    behind: Registry, azure: AzureRegistry, tmp_path: Path
) -> None:
    store = opened(azure)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags="2.0"))
    azure.locked = {("team/app", BOTH.digest)}
    before = state(behind.url, snap)
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert isinstance(done.stopped_by, Unsupported)
    assert "is locked (deleteEnabled or writeEnabled is false)" in done.stopped_by.message
    assert "--delete-enabled true" in done.stopped_by.next_step
    assert state(behind.url, snap) == before


def test_a_tag_alone_is_removed_by_their_own_api(behind: Registry, azure: AzureRegistry) -> None:
    store = opened(azure)
    open_removal(store).untag("team/app", "2.0")
    assert store.tags("team/app") == ["1.0", "latest"]
    assert BOTH.digest in store.untagged("team/app")
    with pytest.raises(ResourceNotFound):
        open_removal(store).untag("team/app", "2.0")
    azure.locked = {("team/app", "1.0")}
    with pytest.raises(Unsupported, match="is locked"):
        open_removal(store).untag("team/app", "1.0")


def test_an_image_is_deleted_with_its_tags_without_a_look_at_the_others(behind: Registry, azure: AzureRegistry) -> None:
    store = opened(azure)
    azure.asked()
    open_removal(store).delete_manifest("team/app", Digest(BOTH.digest))
    assert not [line for line in azure.asked() if "tags/list" in line]
    assert store.tags("team/app") == ["1.0", "latest"]


def test_untagged_manifests_are_as_old_as_their_upload(behind: Registry, azure: AzureRegistry) -> None:
    uploaded(behind, "team/app", OLD, 5)
    uploaded(behind, "team/app", LONE, 20)
    plan = rs.plan(scanned(opened(azure)), rs.Retention(untagged="10d", repositories="team/app"))
    assert LONE.digest in {*plan.steps["digest"]}
    assert OLD.digest not in {*plan.steps["digest"]}


def test_how_bytes_come_back_names_soft_delete(azure: AzureRegistry) -> None:
    store = opened(azure)
    azure.requests.clear()
    (said,) = how_space_is_freed(store)
    assert "soft delete" in said
    assert not azure.requests


def test_children_of_an_index_that_no_list_shows_are_not_taken_for_untagged(
    behind: Registry, azure: AzureRegistry
) -> None:
    azure.hidden = {("team/app", BOTH.digest), ("team/app", "2.0")}
    store = opened(azure)
    snap = scanned(store)
    assert not snap.sees_untagged
    plan = rs.plan(snap, rs.Retention(untagged=True, repositories="team/app"))
    assert plan.at_most
    assert not len(plan.steps)
