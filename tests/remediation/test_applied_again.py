"""A plan that is applied again after it was undone: what its journal says was done is looked at, and not believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.distributions import VERSIONS, filled
from tests.servers.registry import Registry

KEPT, OLD, OLDER = image([layer("kept", 90)], 1), image([layer("old", 80)], 50), image([layer("older", 70)], 60)
PUSHES = [("app", "stable", KEPT), ("app", "old-alias", KEPT), ("app", "old", OLD), ("app", "old-1", OLDER)]


@pytest.fixture(params=VERSIONS)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    with filled(request.param, tmp_path / "registry", PUSHES) as running:
        yield running


def applied(registry: Registry, plan: rs.Plan, journal: Path | None = None) -> rs.Applied:
    return plan.apply(rs.open(registry.url, cache=False), dry_run=False, journal=journal, progress=False)


def planned(registry: Registry) -> rs.Plan:
    return rs.plan(rs.scan(rs.open(registry.url, cache=False), progress=False), rs.Retention(tags="old*"))


def tags(registry: Registry) -> list[str]:
    return rs.open(registry.url, cache=False).tags("app")


def test_within_the_same_second_it_has_a_journal_of_its_own(registry: Registry) -> None:
    plan, store = planned(registry), rs.open(registry.url, cache=False)
    journals = []
    for _ in range(4):
        done = applied(registry, plan)
        assert tags(registry) == ["stable"]
        assert done.counts() == {"done": len(plan.steps)}
        journals.append(done.journal)
        assert rs.undo("latest", store, dry_run=False, progress=False).ok
        assert tags(registry) == ["old", "old-1", "old-alias", "stable"]
    assert len(set(journals)) == 4


def test_with_the_journal_that_was_undone_it_says_that_all_is_there_again(registry: Registry, tmp_path: Path) -> None:
    plan, journal = planned(registry), tmp_path / "journal"
    applied(registry, plan, journal)
    rs.undo(journal, rs.open(registry.url, cache=False), dry_run=False, progress=False)
    done = applied(registry, plan, journal)
    assert done.counts() == {"skipped": len(plan.steps)}
    assert set(done.table["reason"]) == {"an earlier run removed it, but it is there again: make a new plan"}
    assert done.freed_bytes == 0
    assert tags(registry) == ["old", "old-1", "old-alias", "stable"]


def test_what_somebody_has_pushed_again_is_not_taken_a_second_time(registry: Registry, tmp_path: Path) -> None:
    plan, journal = planned(registry), tmp_path / "journal"
    applied(registry, plan, journal)
    Contents(pushes=[("app", "old", OLD)]).push_to(registry.url)
    done = applied(registry, plan, journal)
    outcomes = dict(zip(done.table["digest"], done.table["outcome"].astype("str"), strict=True))
    assert outcomes == {KEPT.digest: "done", OLDER.digest: "done", OLD.digest: "skipped"}
    assert tags(registry) == ["old", "stable"]
