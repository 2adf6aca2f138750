"""Cleaning up at Harbor: immutable tags stay, an index goes with its children and attachments, and all is undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import AuthFailed, PermissionDeny, ResourceNotFound, Unsupported
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.spec.digest import Digest
from regscope.stores.registry_store import RegistryStore
from regscope.stores.removal import open_removal
from tests.hosted.pushed import AMD, ARM, BOTH, LONE, NEW, OLD, SBOM, fill, uploaded
from tests.lab.drawn_registries import Contents, artifact, dashed, index, state, with_attestation
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.harbor import HOST, HarborRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def harbor(behind: Registry, authority: CertificateAuthority) -> Iterator[HarborRegistry]:
    with reached(HarborRegistry(behind, authority, password="secret")) as profile:
        yield profile


def opened(harbor: HarborRegistry) -> RegistryStore:
    store = rs.open(HOST, username="ann", password=harbor.password, verify=harbor.ca, cache=False)
    assert isinstance(store, RegistryStore)
    store.repositories()  # whose challenge shows who runs it
    return store


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def test_a_plan_frees_what_it_says_and_is_undone(behind: Registry, harbor: HarborRegistry, tmp_path: Path) -> None:
    fill(behind)
    store = opened(harbor)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"], untagged=True, repositories="team/*"))
    assert not plan.at_most
    assert {*plan.steps.loc[plan.steps["action"] == "untag", "tag"]} == {"1.0"}
    before, blobs = state(behind.url, snap), behind.blob_digests()
    assert plan.apply(store, progress=False).ok
    assert state(behind.url, snap) == before
    harbor.asked()

    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert "DELETE /api/v2.0/projects/team/repositories/app/artifacts/1.0/tags/1.0 200" in harbor.asked()
    after = state(behind.url, snap)
    assert after["team/app", "latest"] == NEW.digest
    assert ("team/app", "1.0") not in after
    for gone in (BOTH, AMD, ARM, SBOM, OLD, LONE):
        assert after["team/app", gone.digest] is None

    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert state(behind.url, snap) == before

    assert plan.apply(store, dry_run=False, journal=tmp_path / "again", progress=False).ok
    behind.garbage_collect()
    freed = blobs.keys() - behind.blob_digests().keys()
    assert {*freed} == {*plan.blobs["digest"]}
    assert sum(blobs[digest] for digest in freed) == plan.freed_bytes


def test_what_has_an_immutable_tag_stays_and_the_plan_says_why(
    behind: Registry, harbor: HarborRegistry, tmp_path: Path
) -> None:
    fill(behind)
    harbor.immutable = {("team/app", "1.0")}
    store = opened(harbor)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags="*", untagged=True, repositories="team/app"))
    assert {*plan.spared["tag"]} == {"1.0", "latest"}
    assert {*plan.spared["reason"]} == {"it is locked in the registry"}
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    left = {each.digest for each in harbor.upstream_files.manifests("team/app")}
    assert left == {NEW.digest}


def test_what_became_immutable_since_the_plan_is_an_error_that_says_so(
    behind: Registry, harbor: HarborRegistry, tmp_path: Path
) -> None:
    """412 is how Harbor refuses both this and a child."""
    fill(behind)
    store = opened(harbor)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags="2.0"))
    harbor.immutable = {("team/app", "2.0")}
    before = state(behind.url, snap)
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert isinstance(done.stopped_by, Unsupported)
    assert "configured as immutable" in done.stopped_by.message
    assert "Tag Immutability" in done.stopped_by.next_step
    assert state(behind.url, snap) == before


def test_a_child_that_an_index_came_to_refer_to_is_refused(
    behind: Registry, harbor: HarborRegistry, tmp_path: Path
) -> None:
    Contents(pushes=[("team/app", "amd", AMD)]).push_to(behind.url)
    store = opened(harbor)
    plan = rs.plan(scanned(store), rs.Retention(tags="amd"))
    Contents(pushes=[("team/app", None, index([AMD, ARM]))]).push_to(behind.url)
    with pytest.raises(Unsupported, match="referenced by others") as caught:
        open_removal(store).delete_manifest("team/app", Digest(AMD.digest))
    assert "an index has come to refer to it" in caught.value.next_step
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert not done.ok or done.table["outcome"].ne("deleted").any()
    assert AMD.digest in {each.digest for each in harbor.upstream_files.manifests("team/app")}


def test_children_of_a_tagged_index_are_not_swept_as_untagged(
    behind: Registry, harbor: HarborRegistry, tmp_path: Path
) -> None:
    """edutelligence#761: a clean-up of what has no tag nearly took the children of `latest`."""
    signature = artifact("signature", b"signed", None)
    pushes = [("team/app", "latest", BOTH), ("team/app", dashed(BOTH.digest, ".sig"), signature)]
    Contents(pushes=[*pushes, ("team/app", None, SBOM), ("team/app", None, OLD)]).push_to(behind.url)
    store = opened(harbor)
    plan = rs.plan(scanned(store), rs.Retention(untagged=True))
    assert plan.steps["digest"].tolist() == [OLD.digest]
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    left = {each.digest for each in harbor.upstream_files.manifests("team/app")}
    assert left == {each.digest for each in (BOTH, AMD, ARM, signature, SBOM)}


def test_one_of_several_tags_goes_without_the_image(behind: Registry, harbor: HarborRegistry, tmp_path: Path) -> None:
    """edutelligence#761: a deletion of the artifact by one of its tags took `latest` with it."""
    Contents(pushes=[("team/app", tag, NEW) for tag in ("latest", "pr-7")]).push_to(behind.url)
    store = opened(harbor)
    plan = rs.plan(scanned(store), rs.Retention(tags="pr-*"))
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    assert harbor.upstream_files.tags("team/app") == {"latest": NEW.digest}


def test_a_tag_alone_is_removed_by_the_api(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    store = opened(harbor)
    open_removal(store).untag("team/app", "2.0")
    assert store.tags("team/app") == ["1.0", "latest"]
    assert BOTH.digest in store.untagged("team/app")
    with pytest.raises(ResourceNotFound):
        open_removal(store).untag("team/app", "2.0")


def test_a_login_that_may_not_delete_is_told_what_it_lacks(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    harbor.may_delete = False
    store = opened(harbor)
    with pytest.raises(PermissionDeny) as caught:
        open_removal(store).untag("team/app", "2.0")
    assert "maintainer" in caught.value.next_step
    plan = rs.plan(scanned(store), rs.Retention(tags="2.0"))
    with pytest.raises((PermissionDeny, AuthFailed)):
        plan.apply(store, progress=False)


def test_untagged_manifests_are_as_old_as_their_upload(behind: Registry, harbor: HarborRegistry) -> None:
    fill(behind)
    uploaded(behind, "team/app", OLD, 5)
    uploaded(behind, "team/app", LONE, 20)
    plan = rs.plan(scanned(opened(harbor)), rs.Retention(untagged="10d", repositories="team/app"))
    assert LONE.digest in {*plan.steps["digest"]}
    assert OLD.digest not in {*plan.steps["digest"]}


def test_how_bytes_come_back_names_the_garbage_collection(harbor: HarborRegistry) -> None:
    store = opened(harbor)
    harbor.requests.clear()
    (said,) = how_space_is_freed(store)
    assert "/api/v2.0/system/gc/schedule" in said
    assert "freed_space" in said
    assert not harbor.requests


def test_an_index_stays_with_which_an_attachment_of_another_image_would_go(
    behind: Registry, harbor: HarborRegistry, tmp_path: Path
) -> None:
    about = artifact("application/spdx+json", b"about NEW", NEW)
    of_all = index([about])
    Contents(pushes=[("team/app", "kept", NEW), ("team/app", None, about), ("team/app", "old", of_all)]).push_to(
        behind.url
    )
    store = opened(harbor)
    snap = scanned(store)
    before = state(behind.url, snap)
    plan = rs.plan(snap, rs.Retention(tags="old"))
    for is_dry in (True, False):
        done = plan.apply(store, dry_run=is_dry, journal=tmp_path / "journal", progress=False)
        (said,) = done.table["reason"]
        assert said == f"the registry would delete {about.digest} with it, which is to stay"
        assert state(behind.url, snap) == before


def test_an_index_stays_with_which_an_attestation_of_an_image_that_stays_would_go(
    behind: Registry, harbor: HarborRegistry, tmp_path: Path
) -> None:
    attested = with_attestation(NEW)
    Contents(pushes=[("team/app", "kept", NEW), ("team/app", "old", attested)]).push_to(behind.url)
    store = opened(harbor)
    snap = scanned(store)
    before = state(behind.url, snap)
    plan = rs.plan(snap, rs.Retention(tags="old"))
    for is_dry in (True, False):
        done = plan.apply(store, dry_run=is_dry, journal=tmp_path / "journal", progress=False)
        assert f"the registry would delete {attested.children[1].digest} with it, which is to stay" in set(
            done.table["reason"]
        )
        assert state(behind.url, snap) == before


def test_a_tagged_attachment_keeps_the_image_that_it_would_go_with(
    behind: Registry, harbor: HarborRegistry, tmp_path: Path
) -> None:
    about = artifact("application/spdx+json", b"about OLD", OLD)
    Contents(pushes=[("team/app", "old", OLD), ("team/app", "sbom", about)]).push_to(behind.url)
    store = opened(harbor)
    snap = scanned(store)
    before = state(behind.url, snap)
    plan = rs.plan(snap, rs.Retention(tags="old"))
    assert plan.steps.empty
    (said,) = plan.spared["reason"]
    assert "would delete" in said
    assert "which stays" in said
    plan = rs.plan(snap, rs.Retention(tags=["old", "sbom"]))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert not any(state(behind.url, snap).values())
    assert rs.undo(done.journal, store, dry_run=False, progress=False).ok
    assert state(behind.url, snap) == before
