"""Where journals may be, and that a journal has its own plan's steps and no others."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import NotAStore, RegscopeError, StoreError
from regscope.remediation.journal_names import find_journal, journal_folder
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.journal_writer import JournalWriter
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.registry import Registry

OLD, ALIAS, NEW = (image([layer("base", 300), layer(name, 60)], 90) for name in ("old", "kept", "new"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        pushes = [("app", "old", OLD), ("app", "old-too", OLD), ("app", "old-alias", ALIAS), ("app", "stable", ALIAS)]
        Contents(pushes=[*pushes]).push_to(running.url)
        yield running


@pytest.fixture
def journal(filled: Registry, tmp_path: Path) -> Iterator[Path]:
    """Of a run at the registry, which is as it was afterwards."""
    store = rs.open(filled.url, cache=False)
    plan = rs.plan(rs.scan(store, progress=False), rs.Retention(tags="old*"))
    path = tmp_path / "journal"
    assert plan.apply(store, dry_run=False, journal=path, progress=False).ok
    yield path
    path.parent.chmod(0o700)
    assert rs.undo(
        plan.apply(store, dry_run=False, journal=path, progress=False).journal or "", store, dry_run=False
    ).ok


def other(lines: list[str], **said: object) -> list[str]:
    """The same journal whose first deletion says something else."""
    (at,) = [number for number, line in enumerate(lines) if '"action":"delete"' in line]
    found = json.loads(lines[at])
    found.update(said)
    return [*lines[:at], json.dumps(found, separators=(",", ":")), *lines[at + 1 :]]


@pytest.mark.parametrize(
    "said",
    [
        {"tags": ["old", "old-too", "stable"]},
        {"tags": ["stable"]},
        {"tags": []},
        {"repository": "other"},
        {"action": "untag", "tags": ["old"]},
        {"digest": NEW.digest, "raw": base64.b64encode(NEW.raw).decode()},
    ],
    ids=["one tag more", "another tag", "no tag", "another repository", "another action", "another manifest"],
)
def test_undo_sets_nothing_that_the_journals_own_plan_had_not(
    filled: Registry, journal: Path, said: dict[str, object]
) -> None:
    content = journal.read_text()
    journal.write_text("\n".join(other(content.splitlines(), **said)) + "\n")
    since = len(filled.requests())
    with pytest.raises(StoreError, match="is damaged in line"):
        rs.undo(journal, rs.open(filled.url, cache=False), dry_run=False, progress=False)
    assert not [line for line in filled.requests()[since:] if line.startswith(("PUT", "POST", "DELETE"))]
    journal.write_text(content)


def test_a_journal_that_does_not_say_its_plans_steps_has_none(journal: Path) -> None:
    content = journal.read_text()
    lines = [line for line in content.splitlines() if not line.startswith('{"planned":')]
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(StoreError, match="is damaged in line 4"):
        read_journal(journal)
    journal.write_text(content.replace('{"regscope_journal":3', '{"regscope_journal":2'))
    assert len(read_journal(journal).entries) == 2, "journals of before are read as before"
    journal.write_text(content)


def test_any_byte_changed_is_a_journal_or_an_error_in_words(journal: Path) -> None:
    content, others = journal.read_bytes(), 0
    for at in range(0, len(content), 7):
        for damaged in (
            content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :],
            content[:at],
            content[:at] + b"9" * 30 + content[at:],
        ):
            journal.write_bytes(damaged)
            try:
                record = read_journal(journal)
                assert repr(record)
                assert record._repr_html_()
                assert len(record.table) == len(record.entries)
            except RegscopeError:
                others += 1
    assert others > len(content) // 7
    journal.write_bytes(content)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "mine", "http://localhost", "a"):
        pass
    precious = tmp_path / "precious"
    precious.write_text("")
    for name, target in (("to-journal", tmp_path / "mine"), ("to-file", precious), ("to-nothing", tmp_path / "new")):
        link = tmp_path / name
        link.symlink_to(target)
        with pytest.raises(StoreError, match="it is a link"):
            JournalWriter(link, "http://localhost", "a")
        if target.exists():
            with pytest.raises(NotAStore, match="it is a link"):
                read_journal(link)
    assert precious.read_text() == ""
    assert not (tmp_path / "new").exists()


def test_what_is_no_file_is_neither_read_nor_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(NotAStore, match="no journal can be read"):
            read_journal(path)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(StoreError, match="cannot be written"):
            JournalWriter(path, "http://localhost", "a")


OWN = pwd.getpwuid(os.geteuid())
HAS_OWN_GROUP = grp.getgrgid(OWN.pw_gid).gr_name == OWN.pw_name


@pytest.mark.skipif(not HAS_OWN_GROUP, reason="whose group is also others'")
@pytest.mark.parametrize("mode", [0o775, 0o2770])
def test_a_folder_that_ones_own_group_may_write_as_with_umask_002_is_taken(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    os.chown(folder, -1, OWN.pw_gid)
    folder.chmod(mode)
    with JournalWriter(folder / "journal", "http://localhost", "a"):
        pass
    assert read_journal(folder / "journal").plan == "a"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another group")
@pytest.mark.parametrize("group", [1, 12345], ids=["another's", "of no name"])
def test_a_folder_that_another_group_may_write_is_refused(tmp_path: Path, group: int) -> None:
    os.chown(tmp_path, -1, group)
    tmp_path.chmod(0o770)
    with pytest.raises(StoreError, match="others may write into"):
        JournalWriter(tmp_path / "journal", "http://localhost", "a")


@pytest.mark.parametrize("mode", [0o707, 0o777])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "shared"
    with JournalWriter(folder / "journal", "http://localhost", "a"):
        pass
    folder.chmod(mode)
    with pytest.raises(StoreError, match="others may write into") as told:
        JournalWriter(folder / "journal", "http://localhost", "a")
    assert f"chmod go-w {folder}" in told.value.next_step
    with pytest.raises(StoreError, match="others may write into"):
        read_journal(folder / "journal")
    with pytest.raises(StoreError, match="others may write into"):
        JournalWriter(folder / "new", "http://localhost", "a")
    assert not (folder / "new").exists()
    folder.chmod(mode | 0o1000)  # as /tmp: nobody can replace another's files
    assert read_journal(folder / "journal").plan == "a"
    folder.chmod(0o750)
    assert read_journal(folder / "journal").plan == "a"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's file")
def test_another_users_journal_in_a_shared_folder_is_refused(tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "journal", "http://localhost", "a"):
        pass
    os.chown(tmp_path / "journal", 12345, 12345)
    assert read_journal(tmp_path / "journal").plan == "a"
    tmp_path.chmod(0o1777)
    with pytest.raises(StoreError, match="is another user's"):
        read_journal(tmp_path / "journal")
    tmp_path.chmod(0o700)


def test_the_usual_place_is_refused_likewise_and_not_taken_for_empty() -> None:
    journal_folder().mkdir(parents=True)
    journal_folder().chmod(0o777)
    with pytest.raises(StoreError, match="others may write into"):
        find_journal("latest")
