"""The journal of a plan: what is no journal is left as it is, what is damaged is told, and a full disk ends the run."""

from __future__ import annotations

import base64
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import regscope as rs
from regscope.errors import NotAStore, StoreError
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.journal_writer import JournalWriter
from regscope.remediation.planned_step import StepKey
from regscope.spec.digest import Digest
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.registry import Registry

RAW = b'{"schemaVersion": 2}'
HEAD = {"regscope_journal": 1, "location": "http://localhost", "plan": "a", "started": "2026-01-02T03:04:05+00:00"}
STEP = {
    "repository": "app",
    "action": "delete",
    "tags": ["1", "2"],
    "digest": Digest.of(RAW),
    "media_type": None,
    "raw": base64.b64encode(RAW).decode(),
    "frees": 20,
}


def written(path: Path, *lines: dict[str, Any] | str, head: dict[str, Any] = HEAD) -> Path:
    found = [each if isinstance(each, str) else json.dumps(each, separators=(",", ":")) for each in (head, *lines)]
    path.write_text("".join(f"{line}\n" for line in found))
    return path


def test_it_says_what_was_begun_and_what_was_done(tmp_path: Path) -> None:
    other = {**STEP, "repository": "web", "action": "untag", "tags": ["old"]}
    record = read_journal(written(tmp_path / "journal", STEP, other, {"done": f"app@{Digest.of(RAW)}"}))
    assert record.table["done"].tolist() == [True, False]
    assert record.table["tags"].tolist() == ["1, 2", "old"]
    assert [entry.manifest.raw for entry in record.entries] == [RAW, RAW]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[" * 100_000,
        "7",
        '"done"',
        {"done": "never begun"},
        {"done": 7},
        {**STEP, "repository": 7},
        {**STEP, "action": "explode"},
        {**STEP, "action": "untag", "tags": []},
        {**STEP, "tags": "abc"},
        {**STEP, "tags": [1]},
        {**STEP, "media_type": []},
        {**STEP, "frees": 10**30},
        {**STEP, "frees": -1},
        json.dumps({**STEP, "frees": float("inf")}),
        {**STEP, "digest": "sha256:abc"},
        {**STEP, "raw": "no base64"},
        {**STEP, "raw": base64.b64encode(b"{}").decode()},
        json.dumps({**STEP, "repository": "\ud800"}),
        {name: value for name, value in STEP.items() if name != "raw"},
    ],
    ids=lambda line: str(line)[:40],
)
def test_a_damaged_line_is_told_with_its_number(tmp_path: Path, line: dict[str, Any] | str) -> None:
    with pytest.raises(StoreError, match="damaged in line 3"):
        read_journal(written(tmp_path / "journal", STEP, line))


@pytest.mark.parametrize(
    ("name", "value"),
    [("location", 5), ("location", None), ("plan", []), ("started", 5), ("started", "2026-01-02T03:04:05")],
)
def test_a_damaged_beginning_is_no_journal(tmp_path: Path, name: str, value: object) -> None:
    with pytest.raises(NotAStore, match="is no journal"):
        read_journal(written(tmp_path / "journal", STEP, head={**HEAD, name: value}))


@pytest.mark.parametrize("content", [b'{"regscope_plan": 1}', b"notes\nof mine", b"\0" * 500, b'{"regscope_jour\n'])
def test_a_file_that_is_no_journal_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "precious"
    file.write_bytes(content)
    with pytest.raises(NotAStore, match="is no journal"):
        JournalWriter(file, "http://localhost", "a")
    assert file.read_bytes() == content


def test_another_plans_journal_stays_as_it_is_even_cut_off(tmp_path: Path) -> None:
    file = written(tmp_path / "journal", STEP)
    with file.open("a") as more:
        more.write('{"repository":"ap')
    content = file.read_bytes()
    with pytest.raises(StoreError, match="another plan"):
        JournalWriter(file, "http://localhost", "b")
    assert file.read_bytes() == content
    with JournalWriter(file, "http://localhost", "a") as writer:
        writer.end(StepKey("app", "delete", Digest.of(RAW)))
    assert read_journal(file).table["done"].tolist() == [True]


@pytest.mark.parametrize("cut", [0, 1, 10, 25, 60])
def test_a_journal_whose_first_line_was_cut_off_is_begun_anew(tmp_path: Path, cut: int) -> None:
    with JournalWriter(tmp_path / "journal", "http://localhost", "a"):
        pass
    content = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").write_bytes(content[:cut])
    with JournalWriter(tmp_path / "journal", "http://localhost", "a"):
        pass
    assert read_journal(tmp_path / "journal").plan == "a"


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "journal"):
        with pytest.raises(StoreError, match="cannot be written"):
            JournalWriter(place, "http://localhost", "a")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process grows beyond this, as where a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_nothing_is_deleted_that_the_journal_has_no_room_for(tmp_path: Path, concurrency: int) -> None:
    with Registry(tmp_path / "registry") as registry:
        pushes = [("app", f"old-{n}", image([layer("base", 300), layer(f"{n}", 60)], 90 + n)) for n in range(8)]
        Contents(pushes=[*pushes]).push_to(registry.url)
        before = rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)
        plan, journal = rs.plan(before, rs.Retention(tags="*")), tmp_path / "journal"
        store = rs.open(registry.url, cache=False)
        with files_of_at_most(4000):
            done = plan.apply(store, dry_run=False, journal=journal, concurrency=concurrency, progress=False)
        assert isinstance(done.stopped_by, StoreError)
        assert "No space left" in done.stopped_by.message or "File too large" in done.stopped_by.message
        assert 0 < done.counts()["done"] < len(plan.steps)
        left = rs.scan(rs.open(f"storage:{registry.storage}"), progress=False)
        gone = set(before.placements["digest"]) - set(left.placements["digest"])
        assert gone <= {entry.digest for entry in read_journal(journal).entries}
        assert plan.apply(store, dry_run=False, journal=journal, progress=False).ok
        assert rs.undo(journal, store, dry_run=False, progress=False).ok
        assert rs.scan(rs.open(f"storage:{registry.storage}"), progress=False).fingerprint == before.fingerprint
