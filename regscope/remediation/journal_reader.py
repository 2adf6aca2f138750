"""Reading journals; every line is checked."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from regscope import text
from regscope.errors import DigestMismatch, NotAStore, StoreError
from regscope.registry.manifests import RawManifest
from regscope.remediation.journal import FORMAT, Entry, JournalRecord, Lacked, Predicted, Shared
from regscope.remediation.journal_files import open_file, whole
from regscope.remediation.journal_lines import Backup, Begun, Done, Expected, Head, Looked, Planned, StandIn, Version
from regscope.remediation.journal_marks import marks_in, step_mark
from regscope.remediation.planned_step import UNTAG, StepKey
from regscope.spec.digest import Digest

NOTES_ITS_PLAN = 3
"""The first format in which a journal lists the steps of its plan."""
_READABLE = {1, 2, FORMAT}
_LONGEST_HEAD = 2**16


def read_journal(path: Path | str) -> JournalRecord:
    """Read a journal. A last line that was cut off, as by a crash, is ignored.

    Raises:
        NotAStore: the file is no journal, or a link.
        StoreError: the journal is damaged, or has a step that its plan does not have; or others may write into its
            folder.
    """
    path = Path(path)
    try:
        file = open_file(path, os.O_RDONLY)
        try:
            content = whole(file)
        finally:
            os.close(file)
    except OSError as error:
        raise _unreadable(path, error) from None
    return parsed(path, whole_lines(content))


def read_beginning(path: Path) -> JournalRecord:
    """Read only the first line of a journal: its store, plan and start.

    Raises:
        NotAStore: the file is no journal.
        StoreError: another version of regscope wrote it.
    """
    try:
        with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
            return parsed(path, [line for line in [file.readline(_LONGEST_HEAD)] if line.endswith(b"\n")])
    except OSError as error:
        raise _unreadable(path, error) from None


def whole_lines(content: bytes) -> list[bytes]:
    """The lines of a journal, without a last one that was cut off."""
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def parsed(path: Path, lines: Sequence[bytes]) -> JournalRecord:
    """The record in the whole lines of the journal in `path`.

    Raises:
        NotAStore: the lines are no journal's.
        StoreError: another version of regscope wrote them, they are damaged, or the plan does not have a step.
    """
    record = _begun_record(path, lines)
    places: dict[str, int] = {}  # positions of the entries, by their key as the lines have it
    for number, line in enumerate(lines[1:], 2):
        try:
            _read_line(line, record, places)
        except (ValueError, KeyError, DigestMismatch):
            raise StoreError(f"{path} is damaged in line {number}", next_step="Restore it from a copy.") from None
    return record


def _begun_record(path: Path, lines: Sequence[bytes]) -> JournalRecord:
    try:
        version = Version.model_validate_json(lines[0]).regscope_journal
        if version not in _READABLE:
            raise StoreError(f"{path} was written by another version of regscope")
        head = Head.model_validate_json(lines[0])
    except (IndexError, ValueError):
        raise no_journal(path) from None
    return JournalRecord(path, head.location, head.plan, head.started, format=version)


def _read_line(line: bytes, record: JournalRecord, places: dict[str, int]) -> None:
    """Add the content of a line to `record`."""
    entries = record.entries
    if line.startswith(b'{"done":'):
        place = places[Done.model_validate_json(line).done]
        entries[place] = replace(entries[place], is_done=True)
    elif line.startswith(b'{"backup":'):
        record.backup = Backup.model_validate_json(line).backup
    elif line.startswith(b'{"planned":'):
        record.planned = marks_in(Planned.model_validate_json(line).planned)
    elif line.startswith(b'{"predicted":'):
        expected = Expected.model_validate_json(line)
        record.predicted = [Predicted(Digest(digest), size, n) for digest, size, n in expected.predicted]
        shared = [Shared(Digest(digest), size, place) for digest, size, place in expected.shared]
        record.shared = {blob.digest: blob for blob in shared}
    elif line.startswith(b'{"asked":'):
        looked = Looked.model_validate_json(line)
        record.asked, record.lacked = looked.asked, [Lacked(*row) for row in looked.lacked]
    elif line.startswith(b'{"stand_in":'):
        stand_in = StandIn.model_validate_json(line)
        place = places[stand_in.step]
        entries[place] = replace(entries[place], stand_ins=(*entries[place].stand_ins, Digest(stand_in.stand_in)))
    else:
        entry = _entry(Begun.model_validate_json(line))
        _check_planned(record, entry)
        if str(entry.key) not in places:  # a step that was begun again after a crash: the first line counts
            places[str(entry.key)] = len(entries)
            entries.append(entry)


def _check_planned(record: JournalRecord, entry: Entry) -> None:
    if record.format >= NOTES_ITS_PLAN:
        mark = step_mark(record.plan, entry.key, entry.tags, entry.digest)
        if record.planned is None or mark not in record.planned:
            raise ValueError(f"the journal has a step that its plan does not have: {entry.key}")


def _entry(read: Begun) -> Entry:
    manifest = RawManifest(base64.b64decode(read.raw, validate=True), Digest(read.digest), read.media_type)
    manifest.digest.verify(manifest.raw, "a manifest in the journal")
    if read.action == UNTAG and len(read.tags) != 1:
        raise ValueError("an untag step must have exactly one tag")
    tag = read.tags[0] if read.tags else None
    key = StepKey.of(read.repository, read.action, tag, manifest.digest)
    return Entry(key, read.tags, manifest, read.frees, native_id=read.native_id)


def _unreadable(path: Path, error: OSError) -> NotAStore:
    return NotAStore(
        f"no journal can be read from {path}: {text.plain(error, 200)}",
        next_step="List all journals with `regscope journal`.",
    )


def no_journal(path: Path) -> NotAStore:
    """The error for a file that is no journal."""
    return NotAStore(f"{path} is no journal", next_step="List all journals with `regscope journal`.")
