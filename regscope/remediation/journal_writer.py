"""Writing a journal: an append-only file with a line before each step and one after it."""

from __future__ import annotations

import base64
import errno
import fcntl
import os
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from regscope import text
from regscope.errors import StoreError
from regscope.registry.manifests import RawManifest
from regscope.remediation.journal import FORMAT, JournalRecord, Lacked, Predicted, Shared
from regscope.remediation.journal_files import open_file, whole
from regscope.remediation.journal_marks import step_mark
from regscope.remediation.journal_reader import NOTES_ITS_PLAN, no_journal, parsed, whole_lines
from regscope.remediation.planned_step import PlannedStep, StepKey
from regscope.spec.digest import Digest
from regscope.spec.json_forms import compact
from regscope.version import __version__

_BEGINNING = b'{"regscope_journal":'


class JournalWriter:
    """Writes a new journal, or continues one; a line is on disk when its method returns.

    Raises:
        StoreError: the journal belongs to another plan or store, another process is writing it, it cannot be written,
            or others may write into its folder.
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
            raise no_journal(self.path)  # the file is not changed
        written = content.rfind(b"\n") + 1
        if not written:
            os.ftruncate(self._file, 0)
            head = {"regscope_journal": FORMAT, "regscope": __version__, "location": location, "plan": plan}
            self._write({**head, "started": datetime.now(UTC).isoformat()})
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        known = parsed(self.path, whole_lines(whole(self._file)))
        if (known.location, known.plan) != (location, plan):
            raise StoreError(
                f"{self.path} is the journal of another plan, or of another store: {known.location}",
                next_step="Name another file, or apply the plan of this journal.",
            )
        if 0 < written < len(content):
            os.ftruncate(self._file, written)
        return known

    def begin(self, step: PlannedStep, manifest: RawManifest, native_id: str | None = None) -> None:
        """Record a step before it is done, with the bytes of its manifest, and its id in the provider's own API."""
        self._write(
            {
                "repository": step.repository,
                "action": step.action,
                "tags": step.tags,
                "digest": manifest.digest,
                "media_type": manifest.media_type,
                "raw": base64.b64encode(manifest.raw).decode(),
                "frees": step.frees,
                **({} if native_id is None else {"native_id": native_id}),
            }
        )

    @property
    def has_backup(self) -> bool:
        """Whether the journal records a backup."""
        return self.known.backup is not None

    def backed_up(self, place: str) -> None:
        """Record the location of the backup."""
        self._write({"backup": place})
        self.known.backup = place

    def plans(self, steps: Iterable[PlannedStep]) -> None:
        """Record, once, the steps of the plan, before the first of them: the journal can have no other steps."""
        if self.known.planned is None and self.known.format >= NOTES_ITS_PLAN:
            marks = [step_mark(self.known.plan, step.key, step.tags, step.digest) for step in steps]
            self._write({"planned": "".join(marks)})
            self.known.planned = frozenset(marks)

    def predict(self, predicted: Sequence[Predicted], shared: Sequence[Shared]) -> None:
        """Record, once, the blobs that are to be freed, and those that stay."""
        if self.known.predicted is None:
            self._write({"predicted": predicted, "shared": shared})
            self.known.predicted, self.known.shared = [*predicted], {blob.digest: blob for blob in shared}

    def looked(self, asked: int, lacked: Sequence[Lacked]) -> None:
        """Record the number of manifests and blobs that were checked before the first change, and the lacking ones."""
        self._write({"asked": asked, "lacked": lacked})
        self.known.asked, self.known.lacked = asked, [*lacked]

    def stand_in(self, key: StepKey, digest: Digest) -> None:
        """Record the temporary manifest that a step is about to push over its tag."""
        self._write({"stand_in": digest, "step": str(key)})

    def end(self, key: StepKey) -> None:
        """Record that a step was done."""
        self._write({"done": str(key)})

    def _write(self, line: dict[str, Any]) -> None:
        written = compact(line) + b"\n"
        with self._lock:
            try:
                before = os.fstat(self._file).st_size
                if os.write(self._file, written) < len(written):
                    os.ftruncate(self._file, before)  # else the next line would follow half a line
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


def _not_written(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the journal {path} cannot be written: {text.plain(error.strerror or error, 200)}",
        next_step="Free disk space, or name another file.",
    )
