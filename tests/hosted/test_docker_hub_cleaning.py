"""Cleaning up at Docker Hub: tags by its API, then the manifest at the registry, as long as nothing refers to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import AuthFailed, PermissionDeny, RequestError, ResourceNotFound
from regscope.registry.retry_policy import RetryPolicy
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.spec.digest import Digest
from regscope.stores.registry_store import RegistryStore
from regscope.stores.removal import open_removal
from tests.hosted.pushed import AMD, ARM, BOTH, LONE, NEW, OLD, SBOM, fill
from tests.lab.drawn_registries import Contents, index, state
from tests.servers.certificates import CertificateAuthority
from tests.servers.hosted.docker_hub import DockerHubRegistry
from tests.servers.hosted.hosted import reached
from tests.servers.registry import Registry


@pytest.fixture
def hub(behind: Registry, authority: CertificateAuthority) -> Iterator[DockerHubRegistry]:
    with reached(DockerHubRegistry(behind, authority)) as profile:
        yield profile


def opened(hub: DockerHubRegistry, *, user: str = "ann") -> RegistryStore:
    login = {"username": user, "password": hub.password} if user else {}
    store = rs.open("docker.io/team", verify=hub.ca, cache=False, **login)  # type: ignore[arg-type]
    assert isinstance(store, RegistryStore)
    store.client.retry_policy = RetryPolicy(failures=1, refusals=5, backoff=0.01, settling=3)
    return store


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


def deletions(hub: DockerHubRegistry) -> list[str]:
    """What was deleted, in this order: tags by the API, digests at the registry."""
    lines = [line.split() for line in hub.asked() if line.startswith("DELETE")]
    return [path.strip("/").rpartition("/")[2] for _, path, status in lines if status in ("202", "204")]


def test_a_plan_is_an_upper_bound_deletes_tags_first_and_is_undone(
    behind: Registry, hub: DockerHubRegistry, tmp_path: Path
) -> None:
    fill(behind)
    store = opened(hub)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags=["2.0", "1.0"], untagged=True))
    assert plan.at_most
    assert "untagged" in repr(plan)
    assert {*plan.steps.loc[plan.steps["action"] == "untag", "tag"]} == {"1.0"}
    before, blobs = state(behind.url, snap), behind.blob_digests()
    assert plan.apply(store, progress=False).ok
    assert state(behind.url, snap) == before
    hub.asked()

    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert done.at_most
    gone = deletions(hub)
    assert set(gone) == {"1.0", "2.0", BOTH.digest, AMD.digest, ARM.digest}
    assert gone.index("2.0") < gone.index(BOTH.digest) < min(gone.index(AMD.digest), gone.index(ARM.digest))
    assert "DELETE /v2/team/app/manifests/2.0" not in [f"{each.method} {each.path}" for each in hub.requests]
    after = state(behind.url, snap)
    assert after["team/app", "latest"] == NEW.digest
    assert not {("team/app", "1.0"), ("team/app", "2.0")} & after.keys()

    undone = rs.undo(done.journal, store, dry_run=False, progress=False)
    assert undone.ok, repr(undone)
    assert state(behind.url, snap) == before

    assert plan.apply(store, dry_run=False, journal=tmp_path / "again", progress=False).ok
    behind.garbage_collect()
    freed = blobs.keys() - behind.blob_digests().keys()
    assert {*freed} <= {*plan.blobs["digest"]}
    assert sum(blobs[digest] for digest in freed) <= plan.freed_bytes
    kept = {each.digest for each in hub.upstream_files.manifests("team/app")}
    assert kept >= {OLD.digest, LONE.digest, SBOM.digest}  # no list shows them


def test_what_lost_its_tag_since_an_earlier_scan_is_found_and_deleted(
    behind: Registry, hub: DockerHubRegistry, tmp_path: Path
) -> None:
    Contents(pushes=[("team/app", "1", OLD), ("team/app", "2", BOTH)]).push_to(behind.url)
    store = opened(hub)
    earlier = scanned(store)
    Contents(pushes=[("team/app", "1", NEW), ("team/app", "2", NEW)]).push_to(behind.url)
    snap = rs.scan(store, known=[earlier], progress=False)
    plan = rs.plan(snap, rs.Retention(untagged=True))
    assert set(plan.steps["digest"]) == {OLD.digest, BOTH.digest, AMD.digest, ARM.digest}
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    assert {each.digest for each in hub.upstream_files.manifests("team/app")} == {NEW.digest}


def test_hub_tool_234_the_digest_goes_after_its_tag(behind: Registry, hub: DockerHubRegistry, tmp_path: Path) -> None:
    """hub-tool#234, docker/roadmap#792: its `tag rm` removed tags, and left the manifests with their storage."""
    Contents(pushes=[("team/app", tag, OLD) for tag in ("a", "b")] + [("team/app", "c", NEW)]).push_to(behind.url)
    store = opened(hub)
    plan = rs.plan(scanned(store), rs.Retention(tags=["a", "b"]))
    assert plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False).ok
    assert deletions(hub) == ["a", "b", OLD.digest]
    behind.garbage_collect()
    assert OLD.digest not in behind.blob_digests()


def test_what_an_unseen_manifest_refers_to_is_refused_and_keeps_its_tag(
    behind: Registry, hub: DockerHubRegistry, tmp_path: Path
) -> None:
    """The registry answers 403 while another image refers to it, and says no more than that."""
    Contents(pushes=[("team/app", None, index([AMD, NEW])), ("team/app", "amd", AMD)]).push_to(behind.url)
    store = opened(hub)
    snap = scanned(store)
    plan = rs.plan(snap, rs.Retention(tags="amd"))
    before = state(behind.url, snap)
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert isinstance(done.stopped_by, PermissionDeny)
    assert "one without a tag that no list shows" in done.stopped_by.message
    assert "Image Management" in done.stopped_by.next_step
    assert state(behind.url, snap) == before


def test_docs_24078_an_answer_500_that_is_carried_out_later_is_waited_for(
    behind: Registry, hub: DockerHubRegistry, tmp_path: Path
) -> None:
    """docker/docs#24078: the deletion may time out, and Docker Hub repeats it by itself."""
    fill(behind)
    hub.deletes_later = 0.5
    store = opened(hub)
    plan = rs.plan(scanned(store), rs.Retention(tags=["latest", "1.0"]))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert NEW.digest not in {each.digest for each in hub.upstream_files.manifests("team/app")}


def test_children_that_went_with_their_index_are_done(behind: Registry, hub: DockerHubRegistry, tmp_path: Path) -> None:
    fill(behind)
    hub.takes_children = True
    store = opened(hub)
    snap = scanned(store)
    before = state(behind.url, snap)
    plan = rs.plan(snap, rs.Retention(tags="2.0"))
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert not {BOTH.digest, AMD.digest, ARM.digest} & {
        each.digest for each in hub.upstream_files.manifests("team/app")
    }
    assert rs.undo(done.journal, store, dry_run=False, progress=False).ok
    assert state(behind.url, snap) == before


def test_hub_feedback_2008_a_login_that_may_not_delete_is_told_what_it_lacks(
    behind: Registry, hub: DockerHubRegistry, tmp_path: Path
) -> None:
    """hub-feedback#2008: 403 without a word of the missing right."""
    fill(behind)
    hub.may_delete = False
    store = opened(hub)
    snap = scanned(store)
    before = state(behind.url, snap)
    plan = rs.plan(snap, rs.Retention(tags="2.0"))
    with pytest.raises((PermissionDeny, AuthFailed)):
        plan.apply(store, progress=False)
    with pytest.raises(PermissionDeny, match="insufficient privileges") as caught:
        open_removal(store).untag("team/app", "2.0")
    assert "Read, Write, Delete" in caught.value.next_step
    assert state(behind.url, snap) == before


def test_without_a_login_nothing_is_deleted_and_it_is_said_before(behind: Registry, hub: DockerHubRegistry) -> None:
    fill(behind)
    store = opened(hub, user="")
    plan = rs.plan(scanned(store), rs.Retention(tags="2.0"))
    with pytest.raises((PermissionDeny, AuthFailed)):
        plan.apply(store, progress=False)
    with pytest.raises(AuthFailed, match="there is no login for it") as caught:
        open_removal(store).untag("team/app", "2.0")
    assert "docker login" in caught.value.next_step


def test_a_tag_alone_is_removed_by_the_api_and_an_expired_token_is_renewed(
    behind: Registry, hub: DockerHubRegistry
) -> None:
    fill(behind)
    store = opened(hub)
    open_removal(store).untag("team/app", "2.0")
    hub.web_tokens.clear()
    open_removal(store).untag("team/app", "1.0")
    assert store.tags("team/app") == ["latest"]
    assert BOTH.digest in {each.digest for each in hub.upstream_files.manifests("team/app")}
    with pytest.raises(ResourceNotFound):
        open_removal(store).untag("team/app", "1.0")


def test_a_tag_that_the_api_does_not_know_is_not_taken_for_gone(behind: Registry, hub: DockerHubRegistry) -> None:
    """hub-feedback#2533: the registry served tags that the API did not list."""
    fill(behind)
    hub.lacks = {("team/app", "1.0")}
    with pytest.raises(RequestError, match="which its registry serves"):
        open_removal(opened(hub)).untag("team/app", "1.0")


def test_an_image_is_deleted_with_all_its_tags(behind: Registry, hub: DockerHubRegistry) -> None:
    fill(behind)
    store = opened(hub)
    open_removal(store).delete_manifest("team/app", Digest(NEW.digest))
    assert deletions(hub) == ["1.0", "latest", NEW.digest]
    assert store.tags("team/app") == ["2.0"]


def test_hub_tool_214_many_deletions_wait_where_the_api_asks_for_it(
    behind: Registry, hub: DockerHubRegistry, tmp_path: Path
) -> None:
    """hub-tool#214, harbor#17746: after some hundred deletions every request got 429, and the run ended."""
    Contents(pushes=[("team/app", f"t{at}", OLD) for at in range(12)] + [("team/app", "kept", OLD)]).push_to(behind.url)
    store = opened(hub)
    plan = rs.plan(scanned(store), rs.Retention(tags="t*"))
    hub.api_limit, hub.api_reset = 5, time.time() + 1.5
    done = plan.apply(store, dry_run=False, journal=tmp_path / "journal", progress=False)
    assert done.ok, repr(done)
    assert store.tags("team/app") == ["kept"]
    assert [line for line in hub.asked() if line.endswith(" 429")]


def test_how_bytes_come_back_is_said_without_a_request(hub: DockerHubRegistry) -> None:
    store = opened(hub)
    hub.requests.clear()
    (said,) = how_space_is_freed(store)
    assert "by itself" in said
    assert not hub.requests
