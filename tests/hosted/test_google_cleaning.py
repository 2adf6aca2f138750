"""Cleaning up at Google: tags first, by ages of upload, and undone; what its rules refuse is said."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import Unsupported
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.stores.removal import open_removal
from tests.hosted.pushed import AMD, ARM, BOTH, LONE, NEW, OLD, SBOM, fill, uploaded
from tests.lab.drawn_registries import state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.google import USER, GoogleRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


def opened(google: GoogleRegistry) -> rs.ContentStore:
    return rs.open("gcr.io/team", username=USER, password=google.password, verify=google.ca, cache=False)


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def deletions(google: GoogleRegistry) -> list[str]:
    """What was deleted: tags and the first of a digest's digits, without what cannot be there."""
    asked = [line.split() for line in google.asked()]
    return [path.rpartition("/")[2][:14] for method, path, status in asked if method == "DELETE" and status == "202"]


def short(pushed: object) -> str:
    return str(pushed.digest)[:14]


def test_a_plan_frees_what_it_says_tags_first_and_is_undone(
    behind: Registry, google: GoogleRegistry, tmp_path: Path
) -> None:
    fill(behind)
    store = opened(google)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1"], untagged=True, repositories="team/*"))
    assert not plan.at_most
    before, blobs = state(behind.url, snap), behind.blob_digests()
    assert plan.apply(store, progress=False).ok
    assert state(behind.url, snap) == before
    google.asked()

    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    gone = deletions(google)
    assert gone.index("2.0") < gone.index(short(BOTH)) < gone.index(short(AMD))
    assert gone.count("1") == gone.count("2.0") == 1
    assert {*gone} >= {short(each) for each in (BOTH, AMD, ARM, SBOM, OLD, LONE)}
    left = {key for key, digest in state(behind.url, snap).items() if digest}
    assert left == {("team/app", "1.0"), ("team/app", "latest"), ("team/app", NEW.digest)}

    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert state(behind.url, snap) == before

    again = rs.plan(scanned(store), plan.policy)
    assert again.freed_bytes == plan.freed_bytes
    assert again.apply(store, dry_run=False, journal=tmp_path / "again", progress=False).ok
    behind.garbage_collect()
    freed = blobs.keys() - behind.blob_digests().keys()
    assert {*freed} == {*plan.blobs["digest"]}
    assert sum(blobs[digest] for digest in freed) == plan.freed_bytes


def test_untagged_manifests_are_as_old_as_their_upload(behind: Registry, google: GoogleRegistry) -> None:
    """OLD was built 50 days ago and uploaded 5 days ago, LONE 60 and 20."""
    fill(behind)
    when = uploaded(behind, "team/app", OLD, 5)
    uploaded(behind, "team/app", LONE, 20)
    snap = scanned(opened(google))
    goes = {days: {*rs.plan(snap, rs.Retention(untagged=days)).steps["digest"]} for days in ("3d", "10d", "30d")}
    wanted = {OLD.digest, LONE.digest}
    assert {days: wanted & found for days, found in goes.items()} == {"3d": wanted, "10d": {LONE.digest}, "30d": set()}
    plan = rs.plan(snap, rs.Retention(untagged="10d"))
    row = plan.table[(plan.table["digest"] == OLD.digest) & (plan.table["repository"] == "team/app")].iloc[0]
    assert (row["age_by"], row["age_from"]) == ("pushed", when)
    lone = plan.table[plan.table["digest"] == LONE.digest].iloc[0]
    assert lone["rule"] == "untagged=10d: 20 days old"


def test_tags_are_as_old_as_their_upload_where_it_was_later_than_the_build(
    behind: Registry, google: GoogleRegistry
) -> None:
    fill(behind)
    uploaded(behind, "team/app", NEW, 5)
    snap = scanned(opened(google))
    assert rs.plan(snap, rs.Retention(tags="1.0", older_than="10d")).goes.empty
    assert len(rs.plan(snap, rs.Retention(tags=["1.0", "latest"], older_than="3d")).goes) == 2


@pytest.mark.parametrize(
    "refuses",
    [
        (400, "FAILED_PRECONDITION", "the tag is immutable"),
        (403, "DENIED", "Tag immutability is enabled for this repository"),
        (412, "FAILED_PRECONDITION", "refused"),
    ],
)
def test_immutable_tags_are_an_error_that_says_so_and_nothing_is_changed(
    behind: Registry, authority: CertificateAuthority, tmp_path: Path, refuses: tuple[int, str, str]
) -> None:
    fill(behind)
    profile = GoogleRegistry(behind, authority, immutable=True, refuses=refuses)
    with reached(profile):
        store = opened(profile)
        snap = scanned(store)
        before = state(behind.url, snap)
        plan = rs.plan(snap, rs.Retention(tags="2.0"))
        done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
        assert isinstance(done.stopped_by, Unsupported)
        assert "they are immutable there" in done.stopped_by.message
        assert "--no-immutable-tags" in done.stopped_by.next_step
        assert state(behind.url, snap) == before
        # What has no tag goes all the same, by the same client.
        untagged = rs.plan(snap, rs.Retention(untagged=True, repositories="team/app"))
        assert untagged.apply(store, dry_run=False, journal=tmp_path / "untagged", progress=False).ok
        assert state(behind.url, snap)["team/app", OLD.digest] is None


def test_a_tag_alone_is_removed_and_its_manifest_is_listed_as_untagged(
    behind: Registry, google: GoogleRegistry
) -> None:
    fill(behind)
    store = opened(google)
    open_removal(store).untag("team/app", "2.0")
    assert store.tags("team/app") == ["1.0", "latest"]
    assert BOTH.digest in store.untagged("team/app")


def test_how_bytes_come_back_is_known_without_a_request(google: GoogleRegistry) -> None:
    store = opened(google)
    google.requests.clear()
    (said,) = how_space_is_freed(store)
    assert said.startswith("Google Artifact Registry frees the storage by itself")
    assert not google.requests
