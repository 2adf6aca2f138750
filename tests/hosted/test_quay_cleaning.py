"""Cleaning up at Quay: tags go and with them what they alone keep, immutable ones stay, the time machine restores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import PermissionDeny, RequestError, ResourceNotFound, Unsupported
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.spec.digest import Digest
from regscope.stores.removal import open_removal
from tests.hosted.pushed import AMD, ARM, BOTH, NEW, OLD, SBOM, fill
from tests.hosted.test_quay import provider_of
from tests.lab.drawn_registries import Contents, artifact, dashed
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.hosted import reached
from tests.servers.hosted.quay import QuayRegistry
from tests.servers.registry import Registry


@pytest.fixture
def quay(behind: Registry, authority: CertificateAuthority) -> Iterator[QuayRegistry]:
    with reached(QuayRegistry(behind, authority, password="secret")) as profile:
        profile.api_tokens = {"reads": {"repo:read"}, "writes": {"repo:read", "repo:write"}}
        yield profile


def opened(quay: QuayRegistry, location: str = "quay.io/team", **options: Any) -> rs.ContentStore:
    access = {"username": "org+robot", "password": quay.password, "verify": quay.ca, "cache": False}
    return rs.open(location, **access | options)


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def shown(store: rs.ContentStore, *digests: Digest) -> list[bool]:
    """Whether the registry serves each of these manifests of `team/app`."""
    found = []
    for digest in digests:
        try:
            found.append(store.resolve("team/app", digest) == digest)
        except ResourceNotFound:
            found.append(False)
    return found


def test_a_plan_frees_what_it_says_after_the_time_machine_and_is_undone(
    behind: Registry, quay: QuayRegistry, tmp_path: Path
) -> None:
    fill(behind)
    store = opened(quay)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"]))
    assert plan.at_most
    assert {*plan.steps.loc[plan.steps["action"] == "untag", "tag"]} == {"1.0"}
    before, everything = quay.upstream_files.tags("team/app"), (BOTH.digest, AMD.digest, ARM.digest, SBOM.digest)
    assert plan.apply(store, progress=False).ok
    assert quay.upstream_files.tags("team/app") == before
    quay.asked()

    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    asked = [line.split() for line in quay.asked() if line.startswith("DELETE") and line.endswith(" 202")]
    deleted = [path.rpartition("/")[2] for _, path, _ in asked]
    assert sorted(deleted) == sorted(["1.0", BOTH.digest])  # the rest had no tag, and went with it
    assert quay.upstream_files.tags("team/app") == {"latest": NEW.digest}
    assert shown(store, *everything) == [False] * 4
    assert not {scope for scope in quay.scopes if scope.endswith(":delete")} - {"repository:team/app:delete"}

    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert quay.upstream_files.tags("team/app") == before
    assert shown(store, *everything) == [True] * 4

    quay.time_passes()
    behind.garbage_collect()
    blobs = behind.blob_digests()
    assert plan.apply(store, dry_run=False, journal=tmp_path / "again", progress=False).ok
    behind.garbage_collect()
    assert behind.blob_digests() == blobs  # the time machine keeps them
    quay.time_passes()
    behind.garbage_collect()
    freed = blobs.keys() - behind.blob_digests().keys()
    assert {*freed} == {*plan.blobs["digest"]}
    assert sum(blobs[digest] for digest in freed) == plan.freed_bytes


def test_the_time_machine_restores_an_image_with_its_tag(behind: Registry, quay: QuayRegistry) -> None:
    fill(behind)
    store = opened(quay, api_token="writes")
    provider, digest = provider_of(store), Digest(BOTH.digest)
    assert not provider.can_restore("team/app", digest)
    open_removal(store).delete_manifest("team/app", digest)
    assert shown(store, digest, AMD.digest) == [False, False]
    assert provider.can_restore("team/app", digest)
    assert provider.restore("team/app", digest)
    assert shown(store, digest, AMD.digest) == [True, True]
    assert quay.upstream_files.tags("team/app")["2.0"] == digest


def test_undo_with_a_token_restores_all_of_it(behind: Registry, quay: QuayRegistry, tmp_path: Path) -> None:
    fill(behind)
    store = opened(quay, api_token="writes")
    before = quay.upstream_files.tags("team/app")
    plan = rs.plan(scanned(store), rs.Retention(tags=["2.0", "1.0"]))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert quay.upstream_files.tags("team/app") == before
    assert shown(store, BOTH.digest, AMD.digest, ARM.digest, SBOM.digest) == [True] * 4


def test_a_tag_that_points_elsewhere_by_now_is_not_moved_back(behind: Registry, quay: QuayRegistry) -> None:
    fill(behind)
    store = opened(quay, api_token="writes")
    open_removal(store).delete_manifest("team/app", Digest(BOTH.digest))
    quay.upstream_files.set_tag("team/app", "2.0", NEW.digest)
    provider = provider_of(store)
    assert not provider.can_restore("team/app", Digest(BOTH.digest))
    assert not provider.restore("team/app", Digest(BOTH.digest))
    assert quay.upstream_files.tags("team/app")["2.0"] == NEW.digest


def test_after_the_time_machine_nothing_is_restored(behind: Registry, quay: QuayRegistry) -> None:
    fill(behind)
    store = opened(quay, api_token="writes")
    open_removal(store).delete_manifest("team/app", Digest(BOTH.digest))
    quay.time_passes()
    assert not provider_of(store).can_restore("team/app", Digest(BOTH.digest))
    assert not provider_of(store).restore("team/app", Digest(BOTH.digest))


def test_without_the_right_to_restore_the_error_names_it(behind: Registry, quay: QuayRegistry) -> None:
    fill(behind)
    store = opened(quay)
    open_removal(store).delete_manifest("team/app", Digest(BOTH.digest))
    assert not provider_of(store).restore("team/app", Digest(BOTH.digest))
    with pytest.raises(PermissionDeny) as caught:
        provider_of(opened(quay, api_token="reads")).restore("team/app", Digest(BOTH.digest))
    assert "repo:write" in caught.value.next_step


def test_what_is_immutable_stays_and_the_plan_says_why(behind: Registry, quay: QuayRegistry, tmp_path: Path) -> None:
    fill(behind)
    quay.immutable = {("team/app", "1.0")}
    store = opened(quay)
    plan = rs.plan(scanned(store), rs.Retention(tags="*", repositories="team/app"))
    assert {*plan.spared["tag"]} == {"1.0", "latest"}
    assert {*plan.spared["reason"]} == {"it is locked in the registry"}
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    assert {*quay.upstream_files.tags("team/app")} == {"1.0", "latest"}


@pytest.mark.parametrize("tag", ["1.0", "2.0"])
def test_what_became_immutable_since_the_plan_is_an_error_that_says_so(
    behind: Registry, quay: QuayRegistry, tmp_path: Path, tag: str
) -> None:
    fill(behind)
    store = opened(quay)
    plan = rs.plan(scanned(store), rs.Retention(tags=tag))
    quay.immutable = {("team/app", tag)}
    before = quay.upstream_files.tags("team/app")
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert isinstance(done.stopped_by, Unsupported)
    assert "is immutable" in done.stopped_by.message
    assert "remove the immutability" in done.stopped_by.next_step
    assert quay.upstream_files.tags("team/app") == before


def test_a_tag_is_removed_alone_and_the_last_one_is_not(behind: Registry, quay: QuayRegistry) -> None:
    """Without a tag Quay serves an image no longer: so a removal of its last tag would be its deletion."""
    fill(behind)
    store = opened(quay)
    open_removal(store).untag("team/app", "1.0")
    assert quay.upstream_files.tags("team/app") == {"latest": NEW.digest, "2.0": BOTH.digest}
    with pytest.raises(RequestError, match="with its last tag, so the tag team/app:latest was set again"):
        open_removal(store).untag("team/app", "latest")
    assert quay.upstream_files.tags("team/app")["latest"] == NEW.digest
    with pytest.raises(ResourceNotFound):
        open_removal(store).untag("team/app", "1.0")


def test_an_older_quay_deletes_a_tag_by_its_api_alone(behind: Registry, quay: QuayRegistry) -> None:
    """regclient/regclient#393, quay/quay#3128: DELETE of a tag by /v2 was 405."""
    fill(behind)
    quay.by_name = False
    before = quay.upstream_files.tags("team/app")
    with pytest.raises(Unsupported) as caught:
        open_removal(opened(quay)).untag("team/app", "1.0")
    assert "scope repo:write" in caught.value.next_step
    with pytest.raises(PermissionDeny) as refused:
        open_removal(opened(quay, api_token="reads")).untag("team/app", "1.0")
    assert "scope repo:write" in refused.value.next_step
    assert quay.upstream_files.tags("team/app") == before
    open_removal(opened(quay, api_token="writes")).untag("team/app", "1.0")
    assert quay.upstream_files.tags("team/app") == {name: at for name, at in before.items() if name != "1.0"}


def test_what_was_pushed_in_the_last_hour_goes_too(behind: Registry, quay: QuayRegistry, tmp_path: Path) -> None:
    """Children that were pushed by their digest have a hidden tag for an hour: served, and not found for a deletion."""
    fill(behind)
    store = opened(quay)
    quay.time_machine.temporary = {("team/app", each.digest) for each in (AMD, ARM)}
    plan = rs.plan(scanned(store), rs.Retention(tags="2.0"))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert shown(store, BOTH.digest, AMD.digest) == [False, True]
    quay.time_passes()
    assert shown(store, AMD.digest) == [False]


def test_a_signature_goes_with_its_image_and_comes_back_with_it(
    behind: Registry, quay: QuayRegistry, tmp_path: Path
) -> None:
    """Quay ends cosign's tags with the last tag of their image: the plan has them as steps, so undo knows them."""
    signature = artifact("signature", b"signed", None)
    name = dashed(OLD.digest, ".sig")
    Contents(pushes=[("team/app", "1", OLD), ("team/app", name, signature)]).push_to(behind.url)
    store = opened(quay)
    before = quay.upstream_files.tags("team/app")
    plan = rs.plan(scanned(store), rs.Retention(tags="1"))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert quay.upstream_files.tags("team/app") == {}
    assert rs.undo(done.journal, store, dry_run=False, progress=False).ok
    assert quay.upstream_files.tags("team/app") == before


def test_how_bytes_come_back_names_the_time_machine(quay: QuayRegistry) -> None:
    store = opened(quay)
    quay.requests.clear()
    (said,) = how_space_is_freed(store)
    assert "time machine" in said
    assert not quay.requests
