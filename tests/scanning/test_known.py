"""A scan remembers what earlier ones saw: what lost its tag since is asked for by digest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import regscope as rs
from tests.lab.drawn_registries import Contents, Pushed, artifact, image, index, layer
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        yield running


def push(registry: Registry, *pushes: tuple[str, str | None, Pushed]) -> None:
    Contents(pushes=list(pushes)).push_to(registry.url)


def scan(url: str, *known: rs.Snapshot, cache: rs.DigestCache | bool = False) -> rs.Snapshot:
    return rs.scan(rs.open(url, cache=cache), known=known, progress=False)


def made(name: str, days: float = 9, architecture: str = "amd64") -> Pushed:
    return image([layer("base", 400), layer(name, 60)], days, architecture)


def found(snap: rs.Snapshot) -> dict[str, str]:
    return dict(zip(snap.placements["digest"], snap.placements["found"], strict=True))


@pytest.mark.parametrize("cached", [False, True])
def test_what_lost_its_tag_is_found_again_as_long_as_it_is_there(
    registry: Registry, tmp_path: Path, cached: bool
) -> None:
    cache = rs.DigestCache(tmp_path / "cache") if cached else False
    multi, sbom = index([made("a"), made("b", architecture="arm64")]), artifact("sbom", b"x", made("single"))
    push(registry, ("app", "multi", multi), ("app", "single", made("single")), ("app", None, sbom))
    push(registry, ("app", sbom.digest.replace(":", "-"), made("unrelated")))
    first = scan(registry.url, cache=cache)
    push(registry, ("app", "multi", made("new")), ("app", "single", made("new")))
    assert multi.digest not in found(scan(registry.url, cache=cache))
    second = scan(registry.url, first, cache=cache)
    assert found(second)[multi.digest] == "untagged"
    assert found(second)[made("a").digest] == "index child"
    assert found(second)[made("single").digest] == "untagged"
    assert second.remembers_since == first.taken_at
    assert "have lost their tag since" in " ".join(second.notes())
    push(registry, ("app", "multi", made("newer")))
    third = scan(registry.url, second, cache=cache)  # a chain forgets nothing
    assert {multi.digest, made("single").digest} <= set(found(third))
    assert third.remembers_since == first.taken_at
    Contents(deletions=[("app", multi.digest)]).push_to(registry.url)
    fourth = scan(registry.url, third, cache=cache)
    assert multi.digest not in found(fourth)
    assert found(fourth)[made("a").digest] == "untagged"
    assert not len(fourth.problems)


def test_what_is_remembered_makes_predictions_exact(registry: Registry, tmp_path: Path) -> None:
    push(registry, ("app", "1", made("a")), ("app", "2", made("b")))
    first = scan(registry.url)
    push(registry, ("app", "1", made("c")))  # `a` has no tag any more, and still holds the base
    snap = scan(registry.url, first)
    forgetful = rs.plan(scan(registry.url), rs.Retention(tags="*"))
    plan = rs.plan(snap, rs.Retention(tags="*"))
    assert plan.freed_bytes < forgetful.freed_bytes
    before = registry.blob_bytes()
    plan.apply(rs.open(registry.url, cache=False), dry_run=False, journal=tmp_path / "journal", progress=False)
    registry.garbage_collect()
    assert before - registry.blob_bytes() == plan.freed_bytes


def test_an_ask_that_fails_is_a_problem_and_not_gone(registry: Registry, proxy: FaultProxy) -> None:
    push(registry, ("app", "1", made("a")))
    first = dataclasses.replace(scan(registry.url), location=proxy.url)
    push(registry, ("app", "1", made("b")))
    proxy.rule(refuse(made("a").digest, 403, "DENIED", "not for you"))
    snap = scan(proxy.url, first)
    assert snap.problems["reference"].tolist() == [made("a").digest]
    assert rs.plan(snap, rs.Retention(tags="*")).steps.empty


def test_only_repositories_that_are_scanned_are_asked(registry: Registry) -> None:
    push(registry, ("one", "1", made("a")), ("two", "1", made("b")))
    first = scan(registry.url)
    push(registry, ("one", "1", made("new")), ("two", "1", made("new")))
    snap = rs.scan(rs.open(registry.url, cache=False), repositories="one", known=first, progress=False)
    assert set(found(snap)) == {made("new").digest, made("a").digest}


def test_it_is_saved_and_loaded(registry: Registry, tmp_path: Path) -> None:
    push(registry, ("app", "1", made("a")))
    first = scan(registry.url)
    second = scan(registry.url, rs.Snapshot.load(first.save(tmp_path / "first")))
    assert rs.Snapshot.load(second.save(tmp_path / "second")).remembers_since == first.taken_at


def test_a_signature_is_an_orphan_only_if_its_subject_is_not_there_untagged_either(registry: Registry) -> None:
    alive, dead = made("alive"), made("dead")
    signatures = {name: artifact("sig", name.encode(), subject) for name, subject in (("a", alive), ("d", dead))}
    push(registry, ("app", None, alive), ("app", None, dead))
    push(registry, *(("app", f"sig-{name}", signature) for name, signature in signatures.items()))
    Contents(deletions=[("app", dead.digest)]).push_to(registry.url)
    snap = scan(registry.url)
    assert found(snap)[alive.digest] == "untagged"
    plan = rs.plan(snap, rs.Retention(orphans=True))
    assert plan.goes["tag"].tolist() == ["sig-d"]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_a_child_that_one_repository_lacks_is_read_from_another_that_has_it(
    registry: Registry, nested: bool, inside: bool
) -> None:
    child = made("child")
    multi = index([index([child])]) if nested else index([child])
    for lacking, having in (("one", "two"), ("two", "one")):
        push(registry, ("one", "1", multi), ("two", "1", multi))
        Contents(deletions=[(lacking, child.digest)]).push_to(registry.url)
        store = rs.open(f"storage:{registry.storage}" if inside else registry.url, cache=False)
        with ThreadPoolExecutor(1) as one_by_one:  # or the other one may be asked first, which has it
            snap = rs.scan(store, repositories=[lacking, having], executor=one_by_one, progress=False)
        assert snap.problems[["repository", "what"]].to_numpy().tolist() == [[lacking, "missing manifest"]]
        placed = snap.placements.loc[snap.placements["digest"] == child.digest, "repository"].tolist()
        assert placed == [having]


def test_an_index_without_a_tag_leads_to_its_children_in_each_repository(registry: Registry) -> None:
    child = made("child")
    multi = index([child])
    push(registry, ("one", "1", multi), ("two", None, multi))
    for lacking, having in (("one", "two"), ("two", "one")):
        push(registry, ("one", None, child), ("two", None, child))
        Contents(deletions=[(lacking, child.digest)]).push_to(registry.url)
        for order in ([lacking, having], [having, lacking]):
            with ThreadPoolExecutor(1) as one_by_one:
                store = rs.open(f"storage:{registry.storage}")
                snap = rs.scan(store, repositories=order, executor=one_by_one, progress=False)
            assert snap.problems["repository"].tolist() == [lacking]
            assert snap.placements.loc[snap.placements["digest"] == child.digest, "repository"].tolist() == [having]


def test_what_only_the_storage_showed_is_asked_for_by_the_api(registry: Registry, tmp_path: Path) -> None:
    """This registry lists no referrers: by its API alone nothing tells of one without a tag."""
    subject, loose = made("subject"), made("loose")
    sbom, about_sbom = artifact("sbom", b"1", subject), artifact("signature", b"2", artifact("sbom", b"1", subject))
    push(registry, ("app", "1", subject), ("app", None, sbom), ("app", None, about_sbom), ("app", None, loose))
    inside = rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)
    assert set(found(scan(registry.url))) == {subject.digest}
    snap = scan(registry.url, rs.Snapshot.load(inside.save(tmp_path / "inside")))
    assert set(found(snap)) == {subject.digest, sbom.digest, about_sbom.digest, loose.digest}
    assert found(snap)[loose.digest] == "untagged"
    plan = rs.plan(snap, rs.Retention(untagged=True, orphans=True))
    assert plan.steps["digest"].tolist() == [loose.digest]  # what is attached to a kept image stays with it
    before = registry.blob_bytes()
    plan.apply(rs.open(registry.url, cache=False), dry_run=False, journal=tmp_path / "journal", progress=False)
    registry.garbage_collect()
    assert before - registry.blob_bytes() == plan.freed_bytes > 0


def test_no_repository_that_was_deleted_meanwhile_comes_back(registry: Registry) -> None:
    push(registry, ("gone", "1", made("a")), ("app", "1", made("a")))
    first = scan(registry.url)
    Contents(deletions=[("gone", made("a").digest)]).push_to(registry.url)
    snap = scan(registry.url, first)
    assert set(snap.placements["repository"]) == {"app"}
    assert not len(snap.problems)
