"""Which journal is meant by a short name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import InvalidInput, NotAStore
from regscope.remediation.journal_names import find_journal, journal_folder, journals, new_journal
from regscope.remediation.journal_reader import read_beginning
from regscope.remediation.journal_writer import JournalWriter
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.registry import Registry

HERE, ELSEWHERE = "http://localhost:5000", "http://localhost:5001"


def begun(name: str, started: str, location: str = HERE) -> Path:
    head = {"regscope_journal": 2, "location": location, "plan": name, "started": f"2026-01-02T{started}+00:00"}
    journal_folder().mkdir(parents=True, exist_ok=True)
    path = journal_folder() / f"{name}.jsonl"
    path.write_text(json.dumps(head) + "\n")
    return path


def test_latest_is_the_one_that_was_begun_last_of_this_store_if_one_is_named() -> None:
    begun("20260102-030400-bbb", "03:04:00.7")
    later = begun("20260102-030400-aaa", "03:04:00.9")  # its name comes before that of the other
    elsewhere = begun("20260102-050000-ccc", "05:00:00", ELSEWHERE)
    (journal_folder() / "20270101-000000-damaged.jsonl").write_text("nonsense\n")
    assert find_journal("latest") == elsewhere
    assert find_journal("latest", HERE) == later
    assert find_journal("latest", ELSEWHERE) == elsewhere
    with pytest.raises(NotAStore, match="there is no journal of http://localhost:1 in"):
        find_journal("latest", "http://localhost:1")


def test_a_name_or_the_beginning_of_one_alone_will_do() -> None:
    first, second = begun("20260102-0304-aaa", "03:04:00"), begun("20260102-0304-aaab", "03:04:01")
    third = begun("20260203-0000-ccc", "05:00:00")
    assert find_journal("202602") == third
    assert find_journal("20260102-0304-aaa") == find_journal("20260102-0304-aaa.jsonl") == first
    assert find_journal("20260102-0304-aaab") == second
    with pytest.raises(InvalidInput, match="3 journals begin with 2026: 20260203-0000-ccc, 20260102-0304-aaab") as told:
        find_journal("2026")
    assert told.value.next_step == "Write more of its name."


def test_a_file_is_itself_and_a_name_that_nothing_has_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun("20260102-0304-aaa", "03:04:00")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "20260102").write_text("a file of mine")
    assert find_journal("20260102") == Path("20260102")
    assert find_journal(tmp_path / "absent") == tmp_path / "absent"
    for name in ("nonsense", "", tmp_path / "absent"):
        with pytest.raises(NotAStore, match="no journal can be read"):
            rs.undo(name, rs.open(HERE, cache=False), dry_run=False)


def test_where_there_is_none_latest_says_so() -> None:
    with pytest.raises(NotAStore, match="there is no journal in"):
        find_journal("latest")
    assert journals() == []


def test_only_the_beginning_is_read(tmp_path: Path) -> None:
    path = begun("20260102-0304-aaa", "03:04:00")
    with path.open("a") as file:
        file.write("what follows is damaged\n")
    assert read_beginning(path).location == HERE
    with JournalWriter(tmp_path / "journal", HERE, "plan"):
        pass
    assert read_beginning(tmp_path / "journal").plan == "plan"


def test_the_last_run_is_undone_by_that_name(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry") as registry:
        pushes = [("app", f"old-{n}", image([layer("base", 300), layer(f"{n}", 60)], 90 + n)) for n in range(3)]
        Contents(pushes=[*pushes]).push_to(registry.url)
        store = rs.open(registry.url, cache=False)
        before = rs.scan(store, progress=False)
        plan = rs.plan(before, rs.Retention(tags="old*"))
        done = plan.apply(store, dry_run=False, progress=False)
        assert done.journal is not None
        assert done.journal.parent == new_journal(plan.identity).parent == journal_folder()
        told = rs.undo("latest", store, dry_run=True, progress=False)
        assert told.facts() == {"would be restored": "3 manifests, 3 tags", "blobs from": "registry: 3 manifests"}
        undone = rs.undo("latest", store, dry_run=False, progress=False)
        assert undone.facts() == {"restored": "3 manifests, 3 tags"}
        assert undone.summary()["counts"] == {"restored": {"manifests": 3, "tags": 3}}
        assert rs.scan(store, progress=False).fingerprint == before.fingerprint
