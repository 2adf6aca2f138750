"""What is attached to something in another repository, or to something that nobody has seen, is no orphan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.scanning import scan_state
from tests.lab.drawn_registries import Contents, Pushed, artifact, dashed, fallback_list, image, index, layer
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

ORPHANS = rs.Retention(orphans=True)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        yield running


def built(name: str) -> Pushed:
    return image([layer(name, 300)], 90)


def signature(of: Pushed) -> tuple[str, str, Pushed]:
    """As cosign pushes it with `COSIGN_REPOSITORY`: only its tag tells what it is about."""
    return "signatures", dashed(of.digest, ".sig"), artifact("signature", of.digest.encode(), None)


def push(registry: Registry, *pushes: tuple[str, str | None, Pushed]) -> None:
    Contents(pushes=list(pushes)).push_to(registry.url)


def delete(registry: Registry, repository: str, pushed: Pushed) -> None:
    Contents(deletions=[(repository, pushed.digest)]).push_to(registry.url)


def scan(url: str, **options: object) -> rs.Snapshot:
    return rs.scan(rs.open(url, cache=False), progress=False, **options)  # type: ignore[arg-type]


def orphans(snap: rs.Snapshot, policy: rs.Retention = ORPHANS) -> list[str]:
    plan = rs.plan(snap, policy)
    return sorted(plan.goes["digest"])


def test_a_signature_of_what_is_in_another_repository_is_no_orphan(registry: Registry) -> None:
    child = built("child")
    signed, gone = [built("image"), child, index([child])], built("gone")
    push(registry, *(("team/app", f"{n}", each) for n, each in enumerate([*signed, gone])))
    push(registry, *map(signature, [*signed, gone]))
    delete(registry, "team/app", gone)
    for where in (registry.url, f"storage:{registry.storage}"):
        assert orphans(scan(where)) == [signature(gone)[2].digest]
    plan = rs.plan(scan(f"storage:{registry.storage}"), ORPHANS)
    before = registry.blob_bytes()
    assert plan.apply(rs.open(registry.url, cache=False), dry_run=False, progress=False).ok
    registry.garbage_collect()
    assert before - registry.blob_bytes() == plan.freed_bytes + plan.orphaned_bytes > 0
    left = scan(registry.url).tags
    kept = left.loc[left["repository"] == "signatures", "tag"]
    assert sorted(kept) == sorted(signature(each)[1] for each in signed)


def test_referrers_and_lists_of_them_are_looked_for_in_other_repositories_too(registry: Registry) -> None:
    here, gone = built("here"), built("gone")
    sboms = {each.digest: artifact("sbom", each.digest.encode(), each) for each in (here, gone)}
    push(registry, ("team/app", "1", here))
    for subject, sbom in sboms.items():
        push(registry, ("sboms", None, sbom), ("sboms", dashed(subject), fallback_list([sbom])))
    push(registry, ("mixed", "own", built("own")), ("mixed", None, sboms[here.digest]))
    push(registry, ("mixed", None, sboms[gone.digest]))
    snap = scan(f"storage:{registry.storage}")
    lost = {sboms[gone.digest].digest, fallback_list([sboms[gone.digest]]).digest}
    assert set(orphans(snap)) == lost
    # A referrer without a tag is not untagged as long as its subject is anywhere.
    assert orphans(snap, rs.Retention(untagged=True)) == [sboms[gone.digest].digest]


def test_a_signed_image_that_has_lost_its_tag_is_asked_for_in_every_repository(registry: Registry) -> None:
    by_digest, gone = built("run by digest"), built("gone")
    push(registry, ("team/app", "1", by_digest), ("team/web", "1", gone), signature(by_digest), signature(gone))
    push(registry, ("team/app", "1", built("newer")))
    delete(registry, "team/web", gone)
    snap = scan(registry.url)
    assert by_digest.digest in set(snap.placements.loc[snap.placements["found"] == "untagged", "digest"])
    assert orphans(snap) == [signature(gone)[2].digest]


def test_where_too_many_requests_would_be_needed_nothing_is_an_orphan(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(registry, ("team/app", "1", built("here")), signature(built("gone")))
    monkeypatch.setattr(scan_state, "_ASKED_ELSEWHERE", 0)
    snap = scan(registry.url)
    assert snap.problems[["repository", "what"]].to_numpy().tolist() == [["signatures", "subject"]]
    assert orphans(snap) == []
    assert orphans(scan(f"storage:{registry.storage}")) == [signature(built("gone"))[2].digest]


@pytest.mark.parametrize("refused", ["/team/app/tags/list", "/team/app/manifests/1"])
def test_where_something_could_not_be_read_a_repository_of_signatures_has_no_orphans(
    registry: Registry, refused: str
) -> None:
    push(registry, ("team/app", "1", built("unseen")), ("team/web", "1", built("other")), signature(built("unseen")))
    push(registry, ("team/web", None, artifact("sbom", b"lost", built("gone"))))
    push(registry, ("team/web", dashed(built("gone").digest, ".sig"), artifact("signature", b"lost", None)))
    with FaultProxy(registry.url) as proxy:
        proxy.rule(refuse(refused, 403, "DENIED", "not for you", ["GET", "HEAD"]))
        snap = scan(proxy.url)
    assert orphans(snap) == [artifact("signature", b"lost", None).digest]
    assert orphans(scan(registry.url, repositories=["signatures", "team/web"])) == []


def test_a_signature_of_an_image_that_goes_now_goes_with_the_next_plan(registry: Registry) -> None:
    push(registry, ("team/app", "1", built("old")), signature(built("old")), ("team/app", "2", built("new")))
    policy = rs.Retention(tags="1", orphans=True)
    plan = rs.plan(scan(registry.url), policy)
    assert plan.goes["digest"].tolist() == [built("old").digest]
    assert plan.apply(rs.open(registry.url, cache=False), dry_run=False, progress=False).ok
    assert orphans(scan(registry.url), policy) == [signature(built("old"))[2].digest]
