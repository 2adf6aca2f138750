"""What was deleted comes back byte for byte, or it is told that it cannot; and nothing more is lost by trying."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import RegscopeError
from tests.field.contents import made, multi
from tests.field.kinds import chosen
from tests.field.servers.server import FieldServer
from tests.field.wire import Wire

SERVERS = chosen(lambda kind: kind.deletes)


@pytest.fixture
def before(wire: Wire, repository: str) -> dict[str, str | None]:
    """Kept and old tags on images that share a layer, on one manifest, and on indexes."""
    kept = made(repository, "kept")
    wire.push(repository, kept, "v1", "old-v1")
    wire.push(repository, made(repository, "gone"), "old-gone", "old-too")
    wire.push(repository, multi(repository, "kept index"), "v1-multi")
    wire.push(repository, multi(repository, "old index"), "old-multi")
    return wire.state(repository)


def applied(store: rs.ContentStore, repository: str, tmp_path: Path, backup: str | None = None) -> rs.Applied:
    snapshot = rs.scan(store, repositories=[repository], progress=False)
    plan = rs.plan(snapshot, rs.Retention(repositories=[repository], tags=["old-*"]))
    return plan.apply(store, dry_run=False, journal=tmp_path / "journal", backup=backup, progress=False)


def check_told(done: rs.Applied, wire: Wire, repository: str) -> None:
    """Where blobs go at once with their manifest, that is told after the first image, before more is lost."""
    if done.stopped_by is None:
        return
    assert isinstance(done.stopped_by, RegscopeError), done
    assert "backup" in done.stopped_by.next_step, done
    alone, index = made(repository, "gone"), multi(repository, "old index")
    lost = [any(wire.missing(repository, image.digest) for image in images) for images in ([alone], index.children)]
    assert sum(lost) == ("serves no blob any more" not in str(done.stopped_by)), done.table  # known before


def lacking(wire: Wire, repository: str, tags: dict[str, str | None]) -> dict[str, list[str]]:
    """What each image lacks, of those that lack something."""
    found = {tag: wire.missing(repository, tag) for tag in tags}
    return {tag: lost for tag, lost in found.items() if lost}


@pytest.mark.parametrize("collected", [False, True], ids=["at once", "after a collection"])
def test_with_a_backup_all_is_as_it_was(
    store: rs.ContentStore,
    server: FieldServer,
    wire: Wire,
    repository: str,
    before: dict[str, str | None],
    tmp_path: Path,
    collected: bool,
) -> None:
    backup = f"oci:{tmp_path / 'backup'}"
    done = applied(store, repository, tmp_path, backup)
    assert done.ok, done
    if collected:
        server.settle()
        server.collect()
    result = done.undo(store, backup=backup, dry_run=False, progress=False)
    assert result.ok, result
    server.settle()
    assert wire.state(repository) == before
    assert lacking(wire, repository, before) == {}
    server.collect()
    assert lacking(wire, repository, before) == {}


@pytest.mark.parametrize("collected", [False, True], ids=["at once", "after a collection"])
def test_without_a_backup_what_comes_back_is_whole_and_what_cannot_is_told(
    store: rs.ContentStore,
    server: FieldServer,
    wire: Wire,
    repository: str,
    before: dict[str, str | None],
    tmp_path: Path,
    collected: bool,
) -> None:
    done = applied(store, repository, tmp_path)
    check_told(done, wire, repository)
    if collected:
        server.settle()
        server.collect()
    result = done.undo(store, dry_run=False, progress=False)
    server.settle()
    after = wire.state(repository)
    lost = result.table[result.table["outcome"] == "impossible"]
    assert set(before) - set(after) == set(lost["tag"].dropna()), result.table
    assert all(after[tag] == before[tag] for tag in after)
    assert lacking(wire, repository, after) == {}
    assert result.ok is (after == before)
    assert lost["reason"].notna().all()


def test_without_a_backup_a_dry_run_says_before_what_undoing_says_then(
    store: rs.ContentStore,
    server: FieldServer,
    wire: Wire,
    repository: str,
    before: dict[str, str | None],
    tmp_path: Path,
) -> None:
    done = applied(store, repository, tmp_path)
    check_told(done, wire, repository)
    server.settle()
    after = wire.state(repository)
    told = done.undo(store, dry_run=True, progress=False)
    server.settle()
    assert wire.state(repository) == after
    result = done.undo(store, dry_run=False, progress=False)
    outcomes = told.table["outcome"].astype("str").replace("would be restored", "restored")
    assert outcomes.tolist() == result.table["outcome"].astype("str").tolist()
    assert told.ok is result.ok


def test_undone_twice_it_finds_all_there(
    store: rs.ContentStore,
    server: FieldServer,
    wire: Wire,
    repository: str,
    before: dict[str, str | None],
    tmp_path: Path,
) -> None:
    backup = f"oci:{tmp_path / 'backup'}"
    done = applied(store, repository, tmp_path, backup)
    assert done.ok, done
    server.settle()
    assert done.undo(store, backup=backup, dry_run=False, progress=False).ok
    server.settle()
    again = done.undo(store, backup=backup, dry_run=False, progress=False)
    assert again.ok
    assert set(again.table["outcome"]) == {"there already"}
    assert wire.state(repository) == before
