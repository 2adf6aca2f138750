"""What went wrong for users of other tools at GitHub's registry, done again with this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import Unsupported
from regscope.registry.retry_policy import RetryPolicy
from regscope.stores.registry_store import RegistryStore
from tests.hosted.pushed import AMD, ARM, BOTH, NEW, OLD, uploaded
from tests.lab.drawn_registries import (
    Contents,
    artifact,
    dashed,
    fallback_list,
    image,
    index,
    layer,
    state,
    with_attestation,
)
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.ghcr import TOKEN, GHCRRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def ghcr(behind: Registry, authority: CertificateAuthority) -> Iterator[GHCRRegistry]:
    with reached(GHCRRegistry(behind, authority)) as profile:
        yield profile


def opened(ghcr: GHCRRegistry) -> RegistryStore:
    store = rs.open("ghcr.io/team", username="ann", password=TOKEN, verify=ghcr.ca, cache=False)
    assert isinstance(store, RegistryStore)
    store.client.retry_policy = RetryPolicy(settling=0.3)
    return store


def cleaned(ghcr: GHCRRegistry, policy: rs.Retention, folder: Path) -> tuple[rs.Plan, rs.Applied]:
    store = opened(ghcr)
    plan = rs.plan(rs.scan(store, progress=False), policy)
    return plan, plan.apply(store, dry_run=False, journal=folder / "journal", progress=False)


def there(ghcr: GHCRRegistry) -> set[str]:
    return {each.digest for each in ghcr.upstream_files.manifests("team/app")}


def test_action_ghcr_prune_76_children_of_a_tagged_index_are_not_deleted_as_untagged(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    """vlaurin/action-ghcr-prune#76, snok/container-retention-policy#63 #97, Chizkiyahu/delete-untagged-ghcr-action#45,
    actions/delete-package-versions#162, some-natalie/kubernoodles#664: `manifest unknown` at every pull."""
    built = with_attestation(image([layer("built", 80)], 9))
    Contents(pushes=[("team/app", "multi", BOTH), ("team/app", "built", built), ("team/app", None, OLD)]).push_to(
        behind.url
    )
    _, done = cleaned(ghcr, rs.Retention(untagged=True), tmp_path)
    assert done.ok, repr(done)
    kept = {each.digest for each in (BOTH, AMD, ARM, built, *built.children)}
    assert there(ghcr) == kept


def test_ghcr_cleanup_104_a_signature_of_a_platform_of_a_kept_index_stays(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    """dataaxiom/ghcr-cleanup-action#104 deleted bundles whose subject was a child of a tagged index."""
    bundle = artifact("application/vnd.dev.sigstore.bundle.v0.3+json", b"bundle", AMD)
    stray = artifact("application/vnd.dev.sigstore.bundle.v0.3+json", b"stray", OLD)
    Contents(
        pushes=[("team/app", "multi", BOTH), *(("team/app", None, each) for each in (bundle, OLD, stray))]
    ).push_to(behind.url)
    _, done = cleaned(ghcr, rs.Retention(untagged=True), tmp_path)
    assert done.ok, repr(done)
    assert there(ghcr) == {each.digest for each in (BOTH, AMD, ARM, bundle)}


@pytest.mark.parametrize("suffix", ["", ".sig"])
def test_ghcr_cleanup_13_tags_of_attestations_go_with_their_subject_and_stay_with_it(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path, suffix: str
) -> None:
    """dataaxiom/ghcr-cleanup-action#13, bsherman/bos#8: tags `sha256-…` and `sha256-….sig`."""
    about = {each: artifact("sig", each.digest.encode(), None if suffix else each) for each in (NEW, OLD)}
    pushes = [("team/app", "kept", NEW), ("team/app", "old", OLD)]
    for each, made in about.items():
        pushes += [("team/app", dashed(each.digest, suffix), made if suffix else fallback_list([made]))]
    Contents(pushes=pushes).push_to(behind.url)
    _, done = cleaned(ghcr, rs.Retention(tags="old"), tmp_path)
    assert done.ok, repr(done)
    left = there(ghcr)
    assert {NEW.digest, about[NEW].digest} <= left
    assert not {OLD.digest, about[OLD].digest} & left
    assert {*ghcr.upstream_files.tags("team/app")} == {"kept", dashed(NEW.digest, suffix)}


def test_vault_db_injector_78_one_tag_of_several_goes_and_the_others_stay(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    """numberly/vault-db-injector#78, bots-house/ghcr-delete-image-action#172: the deletion of a version took `latest`
    and the release along, which were on the same one."""
    Contents(pushes=[("team/app", tag, BOTH) for tag in ("3.2.2-unsigned", "3.2.2", "latest")]).push_to(behind.url)
    _, done = cleaned(ghcr, rs.Retention(tags="*-unsigned"), tmp_path)
    assert done.ok, repr(done)
    assert ghcr.upstream_files.tags("team/app") == {"3.2.2": BOTH.digest, "latest": BOTH.digest}
    assert there(ghcr) == {BOTH.digest, AMD.digest, ARM.digest}


def test_nvsentinel_1339_an_old_build_that_was_released_by_another_tag_stays(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    """NVIDIA/NVSentinel#1339: a clean-up by age staged releases that were old builds with a new tag."""
    old, other = image([layer("released", 70)], 90), image([layer("not released", 60)], 90)
    pushes = [("team/app", tag, made) for tag, made in (("main-1", old), ("v0.8.0", old), ("main-2", other))]
    Contents(pushes=pushes).push_to(behind.url)
    for made in (old, other):
        uploaded(behind, "team/app", made, 60)
    _, done = cleaned(ghcr, rs.Retention(tags="main-*", older_than="30d"), tmp_path)
    assert done.ok, repr(done)
    assert ghcr.upstream_files.tags("team/app") == {"v0.8.0": old.digest}
    assert there(ghcr) == {old.digest}


def test_ghcr_cleanup_71_an_index_that_lacks_a_child_is_told_and_the_rest_is_cleaned(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    """dataaxiom/ghcr-cleanup-action#71 #72: it ended with 404 at an index whose child another tool had deleted."""
    Contents(
        pushes=[("team/app", "broken", BOTH), ("team/app", None, OLD), ("team/app", "fine", NEW)],
        deletions=[("team/app", ARM.digest)],
    ).push_to(behind.url)
    store = opened(ghcr)
    snap = rs.scan(store, progress=False)
    assert ARM.digest in {*snap.problems["reference"]}
    plan = rs.plan(snap, rs.Retention(untagged=True))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert there(ghcr) == {BOTH.digest, AMD.digest, NEW.digest}


def test_delete_untagged_40_the_error_of_many_downloads_names_the_package(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    """Chizkiyahu/delete-untagged-ghcr-action#40: the log did not show of which package it was."""
    Contents(pushes=[("team/app", None, OLD), ("team/app", "kept", NEW)]).push_to(behind.url)
    ghcr.downloads = {("team/app", OLD.digest)}
    _, done = cleaned(ghcr, rs.Retention(untagged=True), tmp_path)
    assert isinstance(done.stopped_by, Unsupported)
    assert "team/app: GitHub keeps public versions" in done.stopped_by.message


def test_delete_package_versions_231_the_last_tagged_version_is_named_in_the_plans_error_and_kept_by_the_policy(
    behind: Registry, authority: CertificateAuthority, tmp_path: Path
) -> None:
    """actions/delete-package-versions#231, posit-dev/positron#15764."""
    Contents(pushes=[("team/app", "1", OLD), ("team/app", "2", NEW)]).push_to(behind.url)
    with reached(GHCRRegistry(behind, authority, last_tagged_stays=True)) as profile:
        _, done = cleaned(profile, rs.Retention(keep_last=1), tmp_path)
        assert done.ok, repr(done)
        _, done = cleaned(profile, rs.Retention(tags="*"), tmp_path / "all")
        assert isinstance(done.stopped_by, Unsupported)
        assert "keep one tag" in done.stopped_by.next_step


def test_perf_sentinel_4785_signatures_are_found_without_the_referrers_api(
    behind: Registry, ghcr: GHCRRegistry
) -> None:
    """artifacthub/hub#4785, NVIDIA/aicr#1957: the referrers API redirects to a page that answers 429."""
    signature = artifact("sig", b"signed", NEW)
    Contents(pushes=[("team/app", "1", NEW), ("team/app", None, signature)]).push_to(behind.url)
    snap = rs.scan(opened(ghcr), progress=False)
    assert not len(snap.problems)
    assert {*snap.placements.loc[snap.placements["found"] == "referrer", "digest"]} == {signature.digest}
    assert not [request for request in ghcr.requests if "/referrers/" in request.path]


def test_kas_162_a_deletion_by_mistake_is_undone_without_a_copy_of_the_images(
    behind: Registry, ghcr: GHCRRegistry, tmp_path: Path
) -> None:
    """actions/delete-package-versions#162 (siemens/kas), epinio/epinio#2583: images were pushed again by hand."""
    outer = index([AMD, ARM])
    Contents(pushes=[("team/app", "2.6", outer), ("team/app", "latest", NEW)]).push_to(behind.url)
    store = opened(ghcr)
    snap = rs.scan(store, progress=False)
    before = state(behind.url, snap)
    done = rs.plan(snap, rs.Retention(tags="2.6")).apply(
        store, dry_run=False, journal=tmp_path / "journal", progress=False
    )
    assert done.ok, repr(done)
    behind.garbage_collect()
    assert rs.undo(done.journal, store, dry_run=False, progress=False).ok
    assert state(behind.url, snap) == before
