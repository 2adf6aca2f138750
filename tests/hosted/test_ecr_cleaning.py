"""Cleaning up at Amazon ECR: the last tag takes its image along, indexes go first, failures are told image by image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import AuthFailed, PermissionDeny, RequestError, ResourceNotFound, Unsupported
from regscope.hosted.ecr import ECR
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.spec.digest import Digest
from regscope.stores.registry_store import registry_of
from regscope.stores.removal import open_removal
from tests.hosted.pushed import AMD, ARM, BOTH, LONE, NEW, OLD, SBOM, fill, uploaded
from tests.lab.drawn_registries import Contents, image, layer, state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ecr import HOST, ECRRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def ecr(behind: Registry, authority: CertificateAuthority) -> Iterator[ECRRegistry]:
    fill(behind)
    with reached(ECRRegistry(behind, authority)) as profile:
        yield profile


def opened(ecr: ECRRegistry) -> rs.ContentStore:
    return rs.open(HOST, verify=ecr.ca, cache=False)


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def provider(store: rs.ContentStore) -> ECR:
    registry = registry_of(store)
    assert registry is not None
    assert isinstance(registry.provider, ECR)
    return registry.provider


def deleted(ecr: ECRRegistry) -> list[list[dict[str, str]]]:
    """The images of each request to delete."""
    return [given["imageIds"] for operation, given in ecr.api.asked if operation == "BatchDeleteImage"]


def test_a_plan_frees_what_it_says_and_is_undone(behind: Registry, ecr: ECRRegistry, tmp_path: Path) -> None:
    store = opened(ecr)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"], untagged=True, repositories="team/*"))
    assert {*plan.steps.loc[plan.steps["action"] == "untag", "tag"]} == {"1.0"}
    before, blobs = state(behind.url, snap), behind.blob_digests()
    assert plan.apply(store, progress=False).ok
    assert state(behind.url, snap) == before
    assert all(set(image) == {"imageDigest"} for (image,) in deleted(ecr))  # each of what cannot exist
    ecr.api.asked.clear()

    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert [{"imageTag": "1.0", "imageDigest": NEW.digest}] in deleted(ecr)
    after = state(behind.url, snap)
    assert after["team/app", "latest"] == NEW.digest
    assert ("team/app", "1.0") not in after
    for gone in (BOTH, SBOM, OLD, LONE):
        assert after["team/app", gone.digest] is None

    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert state(behind.url, snap) == before

    assert plan.apply(store, dry_run=False, journal=tmp_path / "again", progress=False).ok
    behind.garbage_collect()
    freed = blobs.keys() - behind.blob_digests().keys()
    assert {*freed} == {*plan.blobs["digest"]}
    assert sum(blobs[digest] for digest in freed) == plan.freed_bytes


def test_containers_roadmap_1567_the_last_tag_of_what_an_index_needs_is_removed_alone(
    behind: Registry, ecr: ECRRegistry, tmp_path: Path
) -> None:
    """There the service refuses (ImageReferencedByManifestList): the tag is moved to a stand-in, which is deleted."""
    Contents(pushes=[("team/app", "amd", AMD)]).push_to(behind.url)
    store = opened(ecr)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags="amd"))
    assert plan.steps[["action", "tag"]].astype("str").values.tolist() == [["untag", "amd"]]
    before = state(behind.url, snap)
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert state(behind.url, snap) == {key: digest for key, digest in before.items() if key != ("team/app", "amd")}
    assert {each.digest for each in ecr.upstream_files.manifests("team/app")} == {
        digest for (repository, name), digest in before.items() if repository == "team/app" and ":" in name
    }
    assert rs.undo(done.journal, store, dry_run=False, progress=False).ok
    assert state(behind.url, snap) == before


def test_untag_keeps_an_image_that_has_no_other_tag(behind: Registry, ecr: ECRRegistry) -> None:
    store = opened(ecr)
    open_removal(store).untag("team/tools/base", "1")
    assert store.tags("team/tools/base") == []
    assert store.untagged("team/tools/base") == [OLD.digest]
    with pytest.raises(ResourceNotFound):
        open_removal(store).untag("team/tools/base", "1")


def test_a_tag_that_became_the_last_one_meanwhile_does_not_lose_its_image(
    behind: Registry, ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(ecr)
    tags_beside = ECR._tags_beside

    def while_somebody_untags(itself: ECR, repository: str, tag: str) -> list[str]:
        found = tags_beside(itself, repository, tag)
        ecr.upstream_files.remove_tag("team/app", "1.0")
        return found

    monkeypatch.setattr(ECR, "untags_alone", lambda *_: True)
    monkeypatch.setattr(ECR, "_tags_beside", while_somebody_untags)
    open_removal(store).untag("team/app", "latest")
    tags = ecr.upstream_files.tags("team/app")
    assert "latest" not in tags
    assert NEW.digest in {each.digest for each in ecr.upstream_files.manifests("team/app")}


def test_immutable_tags_can_be_deleted_with_their_images_and_beside_others(
    behind: Registry, ecr: ECRRegistry, tmp_path: Path
) -> None:
    ecr.immutable = {"team/app"}
    store = opened(ecr)
    snap = scanned(store)
    assert not snap.placements["locked"].any()
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"], untagged=True, repositories="team/app"))
    before = state(behind.url, snap)
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert set(ecr.upstream_files.tags("team/app")) == {"latest"}
    assert rs.undo(done.journal, store, dry_run=False, progress=False).ok
    assert state(behind.url, snap) == before


def test_an_immutable_last_tag_that_cannot_go_alone_is_an_error_that_says_so(
    behind: Registry, ecr: ECRRegistry
) -> None:
    ecr.immutable = {"team/tools/base"}
    before = ecr.upstream_files.manifests("team/tools/base")
    with pytest.raises(Unsupported, match="deletes an image with its last tag") as caught:
        open_removal(opened(ecr)).untag("team/tools/base", "1")
    assert "put-image-tag-mutability" in caught.value.next_step
    assert ecr.upstream_files.manifests("team/tools/base") == before


def test_aws_cdk_24822_an_index_and_its_children_go_in_one_call(behind: Registry, ecr: ECRRegistry) -> None:
    """open-supply-hub#1243, zeek#3015: in one request the index still holds its children, which are refused."""
    digests = [Digest(each.digest) for each in (AMD, ARM, BOTH)]
    assert not provider(opened(ecr)).delete("team/app", digests)
    assert [len(images) for images in deleted(ecr)] == [3, 2]
    left = {each.digest for each in ecr.upstream_files.manifests("team/app")}
    assert not left & {*digests}


def test_a_hundred_images_go_in_a_request_and_failures_are_told_one_by_one(behind: Registry, ecr: ECRRegistry) -> None:
    images = [image([layer(f"many {at}", 20)], 5) for at in range(130)]
    Contents(pushes=[("many", None, each) for each in images]).push_to(behind.url)
    absent = Digest.of(b"nothing")
    failed = provider(opened(ecr)).delete("many", [absent, *(Digest(each.digest) for each in images)])
    assert [len(images) for images in deleted(ecr)] == [100, 31]
    assert {*failed} == {absent}
    assert isinstance(failed[absent], ResourceNotFound)
    assert failed[absent].code == "ImageNotFound"
    assert not ecr.upstream_files.manifests("many")


def test_what_an_index_has_come_to_need_is_refused_and_the_rest_goes(behind: Registry, ecr: ECRRegistry) -> None:
    failed = provider(opened(ecr)).delete("team/app", [Digest(AMD.digest), Digest(OLD.digest)])
    assert {*failed} == {AMD.digest}
    assert "ImageReferencedByManifestList" in failed[Digest(AMD.digest)].message
    assert "an index needs it" in failed[Digest(AMD.digest)].next_step
    left = {each.digest for each in ecr.upstream_files.manifests("team/app")}
    assert AMD.digest in left
    assert OLD.digest not in left


def test_where_a_later_request_fails_the_earlier_ones_count(
    behind: Registry, ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [image([layer(f"many {at}", 20)], 5) for at in range(102)]
    Contents(pushes=[("many", None, each) for each in images]).push_to(behind.url)
    itself, ask = provider(opened(ecr)), ECR._delete_batch
    batches: list[int] = []

    def expiring(each: ECR, repository: str, images: list[dict[str, str]]) -> dict[Digest, RequestError]:
        batches.append(len(images))
        ecr.api.expired = len(batches) > 1
        return ask(each, repository, images)

    monkeypatch.setattr(ECR, "_delete_batch", expiring)
    failed = itself.delete("many", [Digest(each.digest) for each in images])
    assert len(failed) == 2
    assert all(isinstance(error, AuthFailed) for error in failed.values())
    assert len(ecr.upstream_files.manifests("many")) == 2


@pytest.mark.filterwarnings("ignore:team/app:regscope.CapabilityWarning")
def test_credentials_that_expire_in_mid_run_stop_it_and_it_is_continued_later(
    behind: Registry, ecr: ECRRegistry, tmp_path: Path
) -> None:
    store = opened(ecr)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(untagged=True, repositories="team/app"))
    assert len(plan.steps) > 1
    journal = tmp_path / "journal"

    def after_the_first(request: object, forward: object) -> None:
        ecr.api.expired = len([1 for images in deleted(ecr) if images[0]["imageDigest"] in {*plan.steps["digest"]}]) > 0

    ecr.rules.insert(0, after_the_first)
    done = plan.apply(store, dry_run=False, journal=journal, progress=False)
    assert isinstance(done.stopped_by, AuthFailed)
    assert "aws sso login" in done.stopped_by.next_step
    ecr.rules.pop(0)
    ecr.api.expired = False
    assert plan.apply(store, dry_run=False, journal=journal, progress=False).ok
    after = state(behind.url, snap)
    assert all(after["team/app", digest] is None for digest in plan.steps["digest"])


def test_without_the_permission_to_delete_nothing_is_begun(behind: Registry, ecr: ECRRegistry, tmp_path: Path) -> None:
    ecr.api.denied = {"BatchDeleteImage"}
    store = opened(ecr)
    snap = scanned(store)
    before = state(behind.url, snap)
    plan = rs.plan(snap, rs.Retention(untagged=True))
    with pytest.raises(PermissionDeny, match="is not authorized to perform: ecr:BatchDeleteImage") as caught:
        open_removal(store).check_deletes("team/app")
    assert "Allow ecr:BatchDeleteImage" in caught.value.next_step
    with pytest.raises(PermissionDeny, match="ecr:BatchDeleteImage"):
        plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert state(behind.url, snap) == before


def test_untagged_images_are_as_old_as_their_push(behind: Registry, ecr: ECRRegistry) -> None:
    uploaded(behind, "team/app", OLD, 5)
    uploaded(behind, "team/app", LONE, 20)
    plan = rs.plan(scanned(opened(ecr)), rs.Retention(untagged="10d", repositories="team/app"))
    assert LONE.digest in {*plan.steps["digest"]}
    assert OLD.digest not in {*plan.steps["digest"]}


def test_containers_roadmap_2390_times_are_read_before_manifests_are_which_counts_as_a_pull(
    behind: Registry, ecr: ECRRegistry
) -> None:
    ecr.pulled = {("team/app", NEW.digest): (long_ago := datetime(2026, 1, 2, tzinfo=UTC))}
    store = opened(ecr)
    pulled = scanned(store).placements.set_index(["repository", "digest"])["pulled"]
    assert pulled["team/app", NEW.digest] == long_ago
    assert pulled.notna().sum() == 1
    assert store.counts_pulls
    again = scanned(store).placements.set_index(["repository", "digest"])["pulled"]
    assert again["team/app", NEW.digest] > long_ago


def test_ecr_cleanup_lambda_44_what_runs_by_its_digest_stays(ecr: ECRRegistry) -> None:
    """It compared names with tags alone, and deleted images that task definitions named by digest."""
    running = [f"{HOST}/team/app@{OLD.digest}", f"{HOST}/team/app:1.0"]
    plan = rs.plan(scanned(opened(ecr)), rs.Retention(tags="*", untagged=True, repositories="team/app", in_use=running))
    goes = {*plan.table.loc[plan.table["action"] != "keep", "tag"].dropna()}
    assert goes == {"2.0", "latest"}
    assert not {OLD.digest, NEW.digest} & {*plan.steps.loc[plan.steps["action"] == "delete", "digest"]}


def test_without_aws_credentials_images_are_deleted_by_the_registrys_own_api(
    behind: Registry, ecr: ECRRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ecr.passwords.add("secret")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store = rs.open(HOST, username="AWS", password="secret", verify=ecr.ca, cache=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snap = scanned(store)
        plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"], repositories="team/app"))
        done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert not ecr.api.asked
    assert set(ecr.upstream_files.tags("team/app")) == {"latest"}


def test_how_bytes_come_back_says_that_each_repository_has_its_own_layers(ecr: ECRRegistry) -> None:
    (said,) = how_space_is_freed(opened(ecr))
    assert "BLOB_MOUNTING" in said
    assert "more bytes are freed than the plan says" in said
