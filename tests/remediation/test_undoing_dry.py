"""`undo` is dry until told: it says what would come back, from where, and what cannot, and changes nothing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from tests.lab.drawn_registries import Contents, image, index, layer
from tests.servers.registry import Registry

HINT = "Nothing was changed: use undo(..., dry_run=False) to restore."
KEPT = image([layer("base", 500)], 1)
OLD = image([layer("base", 500), layer("old", 80)], 90)
CHILD = image([layer("child", 90)], 9)
MULTI = index([CHILD])


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        tags = {"stable": KEPT, "old-alias": KEPT, "old": OLD, "old-multi": MULTI}
        Contents(pushes=[("app", tag, made) for tag, made in tags.items()]).push_to(running.url)
        yield running


@pytest.fixture
def store(registry: Registry) -> rs.ContentStore:
    return rs.open(registry.url, cache=False)


def cleaned(registry: Registry, store: rs.ContentStore, folder: Path, backup: str | None = None) -> rs.Applied:
    snap = rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)
    plan = rs.plan(snap, rs.Retention(tags="old*"))
    return plan.apply(store, dry_run=False, journal=folder / "journal", backup=backup, progress=False)


def blobs_from(undone: rs.Undone) -> dict[str, str | None]:
    names = undone.table["tag"].fillna(undone.table["digest"])
    sources = undone.table["blobs_from"].astype(object).where(undone.table["blobs_from"].notna(), None)
    return dict(zip(names, sources, strict=True))


def test_nothing_is_brought_back_until_dry_run_is_false_and_the_result_says_so(
    registry: Registry, store: rs.ContentStore, tmp_path: Path
) -> None:
    done = cleaned(registry, store, tmp_path)
    since = len(registry.requests())
    for told in (done.undo(store), rs.undo(tmp_path / "journal", store)):
        assert told.dry_run
        assert told.ok
        assert repr(told).count(HINT) == 1
        assert told._repr_html_().count(HINT) == 1
    assert all(line.startswith(("GET", "HEAD")) for line in registry.requests()[since:])
    assert store.tags("app") == ["stable"]
    undone = rs.undo(tmp_path / "journal", store, dry_run=False)
    assert HINT not in repr(undone)
    assert HINT not in undone._repr_html_()
    assert store.tags("app") == ["old", "old-alias", "old-multi", "stable"]


def test_it_says_of_each_manifest_and_tag_that_its_blobs_are_in_the_registry_still(
    registry: Registry, store: rs.ContentStore, tmp_path: Path
) -> None:
    told = cleaned(registry, store, tmp_path).undo(store)
    assert blobs_from(told) == {
        "old": "registry", OLD.digest: "registry", "old-alias": "registry", CHILD.digest: "registry",
        "old-multi": None, MULTI.digest: None,
    }  # fmt: skip
    assert "blobs from         registry: 2 manifests" in repr(told)
    assert "would be restored: app:old: blobs from registry" in repr(told)
    assert "would be restored: app:old-multi: no blobs of its own" in repr(told)
    assert "<td>registry</td>" in told._repr_html_()


def test_after_a_collection_it_says_what_comes_from_the_backup_and_without_one_what_cannot_come(
    registry: Registry, store: rs.ContentStore, tmp_path: Path
) -> None:
    done = cleaned(registry, store, tmp_path, backup=f"oci:{tmp_path / 'backup'}")
    registry.garbage_collect()
    told = done.undo(store)
    assert blobs_from(told)[CHILD.digest] == "backup"
    assert blobs_from(told)[OLD.digest] == "registry, backup"
    assert blobs_from(done.undo(store, dry_run=False)) == blobs_from(told)
    again = done.undo(store)
    assert set(blobs_from(again).values()) == {None}
    assert "would be restored" not in repr(again)


def test_what_cannot_come_back_is_named_in_the_dry_result(
    registry: Registry, store: rs.ContentStore, tmp_path: Path
) -> None:
    done = cleaned(registry, store, tmp_path)
    registry.garbage_collect()
    told = done.undo(store)
    assert not told.ok
    assert "impossible: app:old: its blob sha256:" in repr(told)
    assert "would be restored: app:old-alias: blobs from registry" in repr(told)
    assert blobs_from(told)["old"] is None


@pytest.mark.parametrize("function", [rs.undo, rs.Applied.undo, rs.Plan.apply, rs.Rewriting.apply, rs.Merging.apply])
def test_what_changes_a_registry_is_dry_by_default_and_spells_out_its_options(function: object) -> None:
    parameters = inspect.signature(function).parameters  # type: ignore[arg-type]
    assert parameters["dry_run"].default is True
    assert {each.kind for each in parameters.values()}.isdisjoint({inspect.Parameter.VAR_KEYWORD})
