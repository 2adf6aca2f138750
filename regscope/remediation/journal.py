"""`JournalRecord`: the content of a journal, which records all that undo needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from regscope import text
from regscope.registry.manifests import RawManifest
from regscope.remediation.planned_step import StepKey
from regscope.spec.digest import Digest

FORMAT = 3
"""The format of new journals."""


@dataclass(frozen=True)
class Entry:
    """One step, as it was recorded before it was done.

    Attributes:
        key: the key of the step, in the journal and in its plan.
        tags: the tag that is removed, or the tags on the deleted manifest.
        manifest: the manifest, byte for byte.
        frees: bytes that the next garbage collection frees in addition once this step and all before it are done.
        is_done: whether the step is recorded as done; else it was begun, and may have been done.
        stand_ins: the temporary manifests that this run pushed over the tag, to delete them with it.
        native_id: the id of the manifest in the provider's own API; None where it has none.
    """

    key: StepKey
    tags: tuple[str, ...]
    manifest: RawManifest
    frees: int
    is_done: bool = False
    stand_ins: tuple[Digest, ...] = ()
    native_id: str | None = None

    @property
    def repository(self) -> str:
        """The full name of the repository."""
        return self.key.repository

    @property
    def action(self) -> str:
        """`untag`, or `delete` of the manifest with all tags on it."""
        return self.key.action

    @property
    def digest(self) -> Digest:
        """The digest of the manifest."""
        return self.manifest.digest


class Predicted(NamedTuple):
    """A blob that, by the plan, is freed once all manifests that need it are deleted."""

    digest: Digest
    size: int
    needed_by: int


class Shared(NamedTuple):
    """A blob that, by the plan, stays, since a manifest in `repository` needs it."""

    digest: Digest
    size: int
    repository: str


class Lacked(NamedTuple):
    """A manifest or blob that was missing, damaged or could not be checked before the first change.

    Attributes:
        what: the kind of the problem, as in `Snapshot.problems`.
        stays: whether a manifest that stays needs it; else only manifests to be deleted do.
    """

    repository: str
    digest: str
    what: str
    error: str
    stays: bool


@dataclass
class JournalRecord:
    """The content of a journal.

    Attributes:
        path: the path of the file.
        location: the location of the store that was changed.
        plan: the identity of the plan, see `Plan.identity`.
        started: the start of the first run, UTC.
        entries: every step that was begun, in order.
        backup: the location of the backup, see `Plan.apply`; None without a backup.
        predicted: the blobs that, by the plan, are freed; None in formats without them.
        shared: the blobs that, by the plan, stay, by digest.
        asked: the number of manifests and blobs that were checked before the first change; None without a check.
        lacked: those of them that were missing, damaged, or could not be checked.
        planned: the marks of the plan's steps, see `journal_marks`; None in journals before format 3.
        format: the format of the file.
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
    format: int = FORMAT

    @property
    def begun(self) -> set[StepKey]:
        """The keys of the steps that were begun, done or not."""
        return {entry.key for entry in self.entries}

    @property
    def done(self) -> set[StepKey]:
        """The keys of the steps that were done."""
        return {entry.key for entry in self.entries if entry.is_done}

    @property
    def table(self) -> pd.DataFrame:
        """All steps: `repository`, `action`, `tags`, `digest` (str), `size` (int64, bytes of the manifest), `frees`
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
        """The figures of the journal, by their labels."""
        done = [entry for entry in self.entries if entry.is_done]
        return {
            "store": self.location,
            "started": f"{self.started:%Y-%m-%d %H:%M} UTC",
            "steps done": f"{len(done):,}",
            "begun, not recorded as done": f"{len(self.entries) - len(done):,}",
            "freed": text.size(sum(entry.frees for entry in done)),
            **({"backup": self.backup} if self.backup else {}),
        }

    def __repr__(self) -> str:
        return text.facts(f"Journal {self.path}", self.facts())

    def _repr_html_(self) -> str:
        return text.card(f"Journal {self.path}", self.facts())
