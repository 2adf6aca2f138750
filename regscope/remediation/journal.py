"""What was done to a registry, and all that is needed to undo it: a file that only grows."""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pandas as pd

from regscope import text
from regscope.errors import DigestMismatch, NotAStore, StoreError
from regscope.registry.manifests import RawManifest
from regscope.remediation.journal_files import open_file, whole
from regscope.remediation.journal_lines import Backup, Begun, Done, Expected, Head, Looked, Planned, StandIn, Version
from regscope.remediation.journal_plan import marks_in, step_mark
from regscope.spec.digest import Digest
from regscope.version import __version__

_FORMAT = 3
_READABLE = {1, 2, _FORMAT}
_NOTES_ITS_PLAN = 3  # from this format on
_LONGEST_HEAD = 2**16
_BEGINNING = b'{"regscope_journal":'


@dataclass(frozen=True)
class Entry:
    """One step, as it was before it was done.

    Attributes:
        action: `untag`, or `delete` of a manifest with all tags on it.
        tags: the tag that is removed, or those on the manifest.
        manifest: byte for byte.
        frees: bytes that the next garbage collection takes once this and all before it are done.
        is_done: whether it was done; else it was about to be, and may have been.
        stand_ins: the manifests that this run pushed over the tag, to be deleted with it.
    """

    repository: str
    action: str
    tags: tuple[str, ...]
    manifest: RawManifest
    frees: int
    is_done: bool = False
    stand_ins: tuple[Digest, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from other steps."""
        return f"{self.repository}:{self.tags[0]}" if self.action == "untag" else f"{self.repository}@{self.digest}"

    @property
    def digest(self) -> Digest:
        """Of the manifest."""
        return self.manifest.digest


class Predicted(NamedTuple):
    """A blob that the plan said comes back, once all the manifests are deleted that need it."""

    digest: Digest
    size: int
    needed_by: int


class Shared(NamedTuple):
    """A blob that stays, as was planned: something in `repository` needs it."""

    digest: Digest
    size: int
    repository: str


class Lacked(NamedTuple):
    """A manifest or blob that was missing or damaged, or not told of, before the first change.

    Attributes:
        what: as in the `problems` of a snapshot.
        stays: whether something that stays needs it; else only what goes does.
    """

    repository: str
    digest: str
    what: str
    error: str
    stays: bool


@dataclass
class JournalRecord:
    """What a journal says.

    Attributes:
        path: the file.
        location: the store that was changed.
        plan: which plan was carried out, see `Plan.identity`.
        started: when, UTC.
        entries: every step that was begun, in order.
        backup: where it was copied to before, see `Plan.apply`; None where nothing was.
        predicted: the blobs that the plan said come back; None where regscope did not write that down yet.
        shared: the blobs that the plan said stay, by digest.
        asked: how many manifests and blobs were asked for before the first change; None where none was.
        lacked: those of them that were not there, not whole, or not told of.
        planned: the marks of the steps that the plan had, see `regscope.remediation.journal_plan`; None where regscope
            did not write them down yet.
        format: of the file.
    """

    path: Path
    location: str
    plan: str
    started: datetime
    entries: list[Entry] = field(default_factory=list)
    backup: str | None = None
    predicted: list[Predicted] | None = None
    shared: dict[Digest, Shared] = field(default_factory=dict)
    asked: int | None = None
    lacked: list[Lacked] = field(default_factory=list)
    planned: frozenset[str] | None = None
    format: int = _FORMAT

    @property
    def done(self) -> set[str]:
        """The keys of what was done."""
        return {entry.key for entry in self.entries if entry.is_done}

    @property
    def table(self) -> pd.DataFrame:
        """Every step: `repository`, `action`, `tags`, `digest` (str), `size` (int64, bytes: of the manifest), `frees`
        (int64, bytes), `done` (bool)."""
        rows = [
            (entry.repository, entry.action, ", ".join(entry.tags), entry.digest, len(entry.manifest.raw), entry.frees,
             entry.is_done)
            for entry in self.entries
        ]  # fmt: skip
        columns = {"repository": "str", "action": "str", "tags": "str", "digest": "str", "size": "int64",
                   "frees": "int64", "done": "bool"}  # fmt: skip
        return pd.DataFrame(rows, columns=list(columns)).astype(columns)

    def facts(self) -> dict[str, str]:
        """The journal in words."""
        done = [entry for entry in self.entries if entry.is_done]
        return {
            "store": self.location,
            "started": f"{self.started:%Y-%m-%d %H:%M} UTC",
            "steps done": f"{len(done):,}",
            "begun, and not known to be done": f"{len(self.entries) - len(done):,}",
            "comes back": text.size(sum(entry.frees for entry in done)),
            **({"backup": self.backup} if self.backup else {}),
        }

    def __repr__(self) -> str:
        return text.facts(f"Journal {self.path}", self.facts())

    def _repr_html_(self) -> str:
        return text.card(f"Journal {self.path}", self.facts())


def read_journal(path: Path | str) -> JournalRecord:
    """What a journal says. A last line that was cut off, as by a crash, does not count.

    Raises:
        NotAStore: the file is no journal, or a link.
        StoreError: it is one, and damaged, or has a step that its plan had not; or others may write into its folder.
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
    return _parsed(path, _whole_lines(content))


def read_beginning(path: Path) -> JournalRecord:
    """Whose journal it is, and when it was begun; not what was done.

    Raises:
        NotAStore: the file is no journal.
        StoreError: it is another version's.
    """
    try:
        with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
            return _parsed(path, [line for line in [file.readline(_LONGEST_HEAD)] if line.endswith(b"\n")])
    except OSError as error:
        raise _unreadable(path, error) from None


def _whole_lines(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def _parsed(path: Path, lines: Sequence[bytes]) -> JournalRecord:
    try:
        version = Version.model_validate_json(lines[0]).regscope_journal
        if version not in _READABLE:
            raise StoreError(f"{path} was written by another version of regscope")
        head = Head.model_validate_json(lines[0])
    except (IndexError, ValueError):
        raise _no_journal(path) from None
    record = JournalRecord(path, head.location, head.plan, head.started, format=version)
    places: dict[str, int] = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            if line.startswith(b'{"done":'):
                place = places[Done.model_validate_json(line).done]
                record.entries[place] = replace(record.entries[place], is_done=True)
                continue
            if line.startswith(b'{"backup":'):
                record.backup = Backup.model_validate_json(line).backup
                continue
            if line.startswith(b'{"planned":'):
                record.planned = marks_in(Planned.model_validate_json(line).planned)
                continue
            if line.startswith(b'{"predicted":'):
                expected = Expected.model_validate_json(line)
                record.predicted = [Predicted(Digest(digest), size, n) for digest, size, n in expected.predicted]
                shared = [Shared(Digest(digest), size, place) for digest, size, place in expected.shared]
                record.shared = {blob.digest: blob for blob in shared}
                continue
            if line.startswith(b'{"asked":'):
                looked = Looked.model_validate_json(line)
                record.asked, record.lacked = looked.asked, [Lacked(*row) for row in looked.lacked]
                continue
            if line.startswith(b'{"stand_in":'):
                stand_in = StandIn.model_validate_json(line)
                place = places[stand_in.step]
                made = (*record.entries[place].stand_ins, Digest(stand_in.stand_in))
                record.entries[place] = replace(record.entries[place], stand_ins=made)
                continue
            entry = _entry(Begun.model_validate_json(line))
            _check_planned(record, entry)
        except (ValueError, KeyError, DigestMismatch):
            raise StoreError(f"{path} is damaged in line {number}", next_step="Restore it from a copy.") from None
        if entry.key not in places:  # begun again after a crash: what stood there first counts
            places[entry.key] = len(record.entries)
            record.entries.append(entry)
    return record


def _check_planned(record: JournalRecord, entry: Entry) -> None:
    if record.format >= _NOTES_ITS_PLAN:
        mark = step_mark(record.plan, entry.repository, entry.action, entry.tags, entry.digest)
        if record.planned is None or mark not in record.planned:
            raise ValueError(f"the journal has a step that its plan does not have: {entry.key}")


def _entry(read: Begun) -> Entry:
    manifest = RawManifest(base64.b64decode(read.raw, validate=True), Digest(read.digest), read.media_type)
    manifest.digest.verify(manifest.raw, "a manifest in the journal")
    if read.action == "untag" and len(read.tags) != 1:
        raise ValueError("one tag is removed at a time")
    return Entry(read.repository, read.action, read.tags, manifest, read.frees)


class JournalWriter:
    """Writes a journal, or goes on with one; a line is on the disk when its method returns.

    Raises:
        StoreError: it is another plan's or another store's, somebody else is writing it, it cannot be written, or
            others may write into its folder.
        NotAStore: the file is no journal.
    """

    def __init__(self, path: Path | str, location: str, plan: str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = open_file(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except OSError as error:
            raise _not_written(self.path, error) from None
        try:
            self.known = self._opened(location, plan)
        except BaseException:
            os.close(self._file)
            raise

    def _opened(self, location: str, plan: str) -> JournalRecord:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"{self.path} is being written by another process") from None
        content = whole(self._file)
        if not (content.startswith(_BEGINNING) or _BEGINNING.startswith(content)):
            raise _no_journal(self.path)  # whatever it is, it stays as it is
        written = content.rfind(b"\n") + 1
        if not written:
            os.ftruncate(self._file, 0)
            head = {"regscope_journal": _FORMAT, "regscope": __version__, "location": location, "plan": plan}
            self._write({**head, "started": datetime.now(UTC).isoformat()})
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        known = _parsed(self.path, _whole_lines(whole(self._file)))
        if (known.location, known.plan) != (location, plan):
            raise StoreError(
                f"{self.path} is the journal of another plan, or of another store: {known.location}",
                next_step="Name another file, or apply the plan that it belongs to.",
            )
        if 0 < written < len(content):
            os.ftruncate(self._file, written)
        return known

    def begin(self, entry: Entry) -> None:
        """Note a step before it is done."""
        self._write(
            {
                "repository": entry.repository,
                "action": entry.action,
                "tags": entry.tags,
                "digest": entry.digest,
                "media_type": entry.manifest.media_type,
                "raw": base64.b64encode(entry.manifest.raw).decode(),
                "frees": entry.frees,
            }
        )

    @property
    def has_backup(self) -> bool:
        """Whether everything is kept somewhere."""
        return self.known.backup is not None

    def backed_up(self, place: str) -> None:
        """Note where everything is kept."""
        self._write({"backup": place})
        self.known.backup = place

    def plans(self, marks: Sequence[str]) -> None:
        """Note, once, which steps the plan has, before the first of them: the journal can have no others."""
        if self.known.planned is None and self.known.format >= _NOTES_ITS_PLAN:
            self._write({"planned": "".join(marks)})
            self.known.planned = frozenset(marks)

    def predict(self, predicted: Sequence[Predicted], shared: Sequence[Shared]) -> None:
        """Note, once, which blobs are to come back, and which stay."""
        if self.known.predicted is None:
            self._write({"predicted": predicted, "shared": shared})
            self.known.predicted, self.known.shared = [*predicted], {blob.digest: blob for blob in shared}

    def looked(self, asked: int, lacked: Sequence[Lacked]) -> None:
        """Note what was asked for before the first change, and what of it was lacking."""
        self._write({"asked": asked, "lacked": lacked})
        self.known.asked, self.known.lacked = asked, [*lacked]

    def stand_in(self, key: str, digest: Digest) -> None:
        """Note the manifest that a step is about to push over its tag."""
        self._write({"stand_in": digest, "step": key})

    def end(self, key: str) -> None:
        """Note that a step was done."""
        self._write({"done": key})

    def _write(self, line: dict[str, Any]) -> None:
        written = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                before = os.fstat(self._file).st_size
                if os.write(self._file, written) < len(written):
                    os.ftruncate(self._file, before)  # or what is written next would stand behind half a line
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._file)
            except OSError as error:
                raise _not_written(self.path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._file)


def _unreadable(path: Path, error: OSError) -> NotAStore:
    return NotAStore(
        f"no journal can be read from {path}: {text.plain(error, 200)}",
        next_step="`regscope journal` lists those there are.",
    )


def _no_journal(path: Path) -> NotAStore:
    return NotAStore(f"{path} is no journal", next_step="`regscope journal` lists those there are.")


def _not_written(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the journal {path} cannot be written: {text.plain(error.strerror or error, 200)}",
        next_step="Make room for it, or name another place.",
    )
