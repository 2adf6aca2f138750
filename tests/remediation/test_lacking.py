"""What a registry had lost before a run changed anything is told, and is not taken for the run's doing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.lacking import check_plan
from regscope.spec.digest import Digest
from tests.lab.drawn_registries import Contents, Pushed, image, index, layer
from tests.servers.faults import refuse
from tests.servers.proxy import FaultProxy
from tests.servers.registry import Registry

BASE = layer("base", 5000)
KEPT = image([BASE], 1)
KEPT_INDEX = index([image([layer("kept amd", 50)], 1), image([layer("kept arm", 60)], 1, "arm64")])
OLD = image([BASE, layer("old", 80)], 90)
ALONE = image([layer("alone", 80)], 91)
OLD_INDEX = index([image([layer("old amd", 50)], 92), image([layer("old arm", 60)], 92, "arm64")])
PUSHES: list[tuple[str, str | None, Pushed]] = [
    ("app", "stable", KEPT),
    ("app", "multi", KEPT_INDEX),
    ("app", "old", OLD),
    ("app", "old-alone", ALONE),
    ("app", "old-multi", OLD_INDEX),
]
LOST_BLOB, LOST_CHILD = Digest.of(layer("alone", 80)), OLD_INDEX.children[0].digest
KEPT_CHILD = KEPT_INDEX.children[1].digest
STAYS = {(Digest.of(BASE), "missing blob"), (KEPT_CHILD, "missing manifest")}
GOES = {(LOST_BLOB, "missing blob"), (LOST_CHILD, "missing manifest")}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        Contents(pushes=PUSHES).push_to(running.url)
        yield running


def lose(registry: Registry, *digests: str) -> None:
    for digest in digests:
        encoded = digest.partition(":")[2]
        shutil.rmtree(registry.blobs / "sha256" / encoded[:2] / encoded)


def scanned(registry: Registry, **options: Any) -> rs.Snapshot:
    return rs.scan(rs.open(registry.url), progress=False, **options)


def planned(snap: rs.Snapshot) -> rs.Plan:
    return rs.plan(snap, rs.Retention(tags="old*"))


def applied(plan: rs.Plan, url: str, **options: Any) -> rs.Applied:
    return plan.apply(rs.open(url, cache=False), progress=False, **options)


def rows(done: rs.Applied, *, stay: bool) -> set[tuple[str, str]]:
    assert done.lacking is not None
    table = done.lacking.table
    return set(table.loc[table["stays"] == stay, ["digest", "what"]].astype("str").itertuples(index=False, name=None))


def test_a_registry_that_lacks_nothing_is_asked_once_for_each_and_nothing_is_told(registry: Registry) -> None:
    plan, before = planned(scanned(registry)), len(registry.requests())
    done = applied(plan, registry.url)
    assert done.lacking is not None
    assert done.lacking.table.empty
    assert "missing" not in repr(done)
    heads = [line for line in registry.requests()[before:] if line.startswith("HEAD") and "/blobs/" in line]
    # BASE is needed by what goes and by what stays; each image that goes has a config and a layer of its own.
    assert len(heads) == len(set(heads)) == 1 + 2 * 4
    assert done.lacking.asked == len(heads) + len({KEPT, KEPT_INDEX, *KEPT_INDEX.children, *OLD_INDEX.children})


def test_a_plan_asks_for_the_same_as_a_run(registry: Registry) -> None:
    plan = planned(scanned(registry))
    lose(registry, LOST_BLOB, LOST_CHILD, KEPT_CHILD, Digest.of(BASE))
    by_plan, by_run = plan.check(registry.url), applied(plan, registry.url).lacking
    assert by_run is not None
    assert by_plan.asked == by_run.asked
    assert by_plan.table.equals(by_run.table)
    assert set(by_plan.table[["digest", "what"]].itertuples(index=False, name=None)) == STAYS | GOES


def test_at_least_one_is_asked_for_at_a_time(registry: Registry) -> None:
    plan = planned(scanned(registry))
    assert check_plan(plan, registry.url, concurrency=0, progress=False).asked == plan.check(registry.url).asked > 0


@pytest.mark.parametrize("check", [False, True])
def test_a_dry_run_says_what_is_missing_of_what_stays_and_of_what_goes(registry: Registry, check: bool) -> None:
    scanned(registry)  # into the cache
    lose(registry, Digest.of(BASE), KEPT_CHILD, LOST_BLOB, LOST_CHILD)
    plan = planned(scanned(registry, check=check))
    assert set(zip(plan.lacking["digest"], plan.lacking["what"], strict=True)) == (STAYS | GOES if check else set())
    assert ("4 manifests and blobs are already missing or damaged in the store" in repr(plan)) == check
    done = applied(plan, registry.url)
    assert (rows(done, stay=True), rows(done, stay=False)) == (STAYS, GOES)
    assert done.facts()["missing before"].startswith("4 manifests and blobs of ")
    notes = " ".join(done.notes())
    assert "needed by what stays: 2" in notes
    assert "so that undo cannot restore them: 2" in notes
    assert {row["digest"] for row in done.summary()["lacking"]["rows"]} == {digest for digest, _ in STAYS | GOES}


def test_what_is_missing_blocks_nothing_and_is_in_a_saved_plan(registry: Registry, tmp_path: Path) -> None:
    scanned(registry)
    lose(registry, Digest.of(BASE), KEPT_CHILD)
    snap = scanned(registry, check=True)
    plan = planned(snap)
    assert set(plan.goes["tag"].dropna()) == {"old", "old-alone", "old-multi"}
    loaded = rs.Plan.load(plan.save(tmp_path / "plan.json"))
    assert loaded.lacking.equals(plan.lacking)
    assert loaded.identity == plan.identity


def test_what_was_mended_since_it_was_planned_is_not_told(registry: Registry) -> None:
    scanned(registry)
    lose(registry, KEPT_CHILD, LOST_BLOB)
    plan = planned(scanned(registry, check=True))
    Contents(pushes=PUSHES).push_to(registry.url)
    assert len(plan.lacking) == 2
    assert rows(applied(plan, registry.url), stay=True) == rows(applied(plan, registry.url), stay=False) == set()


def test_a_run_does_not_take_what_was_lost_before_for_its_doing(registry: Registry, tmp_path: Path) -> None:
    """Else it would stop after this manifest: the registry seems to forget the blobs with it."""
    scanned(registry)
    lose(registry, LOST_BLOB)
    plan = planned(scanned(registry))
    done = applied(plan, registry.url, dry_run=False, journal=tmp_path / "journal")
    assert done.ok, repr(done)
    assert done.counts() == {"done": len(plan.steps)}
    assert done.blobs_stay
    undone = done.undo(rs.open(registry.url, cache=False), dry_run=True)
    reasons = undone.table.loc[undone.table["tag"] == "old-alone", "reason"]
    assert f"its blob {LOST_BLOB} was gone before the run" in reasons.iloc[0]
    assert undone.table.loc[undone.table["tag"] == "old", "outcome"].tolist() == ["would be restored"]


def test_a_backup_holds_what_is_left(registry: Registry, tmp_path: Path) -> None:
    scanned(registry)
    lose(registry, LOST_BLOB)
    plan = planned(scanned(registry))
    backup = f"oci:{tmp_path / 'backup'}"
    done = applied(plan, registry.url, dry_run=False, journal=tmp_path / "journal", backup=backup)
    assert done.ok, repr(done)
    registry.garbage_collect()
    undone = done.undo(rs.open(registry.url, cache=False), dry_run=False)
    tags = undone.table[undone.table["tag"].notna()]
    outcomes = dict(zip(tags["tag"], tags["outcome"], strict=True))
    assert outcomes == {"old": "restored", "old-multi": "restored", "old-alone": "impossible"}


def test_a_run_that_goes_on_knows_from_its_journal_what_was_lost_before_it(registry: Registry, tmp_path: Path) -> None:
    scanned(registry)
    lose(registry, LOST_BLOB)
    plan = planned(scanned(registry))
    first = applied(plan, registry.url, dry_run=False, journal=tmp_path / "journal", max_deletes=1)
    lose(registry, Digest.of(BASE))
    rest = applied(plan, registry.url, dry_run=False, journal=tmp_path / "journal")
    assert rest.lacking is not None
    assert first.lacking is not None
    assert rest.lacking.table.equals(first.lacking.table)
    lacked = read_journal(tmp_path / "journal").lacked
    assert [(each.digest, each.what, each.stays) for each in lacked] == [(LOST_BLOB, "missing blob", False)]


def test_what_the_registry_does_not_tell_is_told_as_that(registry: Registry) -> None:
    plan = planned(scanned(registry))
    with FaultProxy(registry.url) as proxy:
        proxy.rule(refuse(f"blobs/{LOST_BLOB}", 403, "DENIED", "no"))
        plan_there = planned(rs.scan(rs.open(proxy.url, cache=False), progress=False))
        done = applied(plan_there, proxy.url)
    assert done.lacking is not None
    assert done.lacking.lost.empty
    assert done.lacking.table[["digest", "what"]].astype("str").to_numpy().tolist() == [[LOST_BLOB, "unchecked"]]
    assert "could not be checked" in repr(done)
    assert plan.steps["digest"].tolist() == plan_there.steps["digest"].tolist()
