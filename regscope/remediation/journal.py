"""What a journal says was done to a registry: all that is needed to undo it."""

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
"""Of the files that are written."""


@dataclass(frozen=True)
class Entry:
    """One step, as it was before it was done.

    Attributes:
        key: names the step, in the journal as in its plan.
        tags: the tag that is removed, or those on the manifest.
        manifest: byte for byte.
        frees: bytes that the next garbage collection frees once this step and all before it are done.
        is_done: whether it was done; else it was about to be, and may have been.
        stand_ins: the manifests that this run pushed over the tag, to be deleted with it.
    """

    key: StepKey
    tags: tuple[str, ...]
    manifest: RawManifest
    frees: int
    is_done: bool = False
    stand_ins: tuple[Digest, ...] = ()

    @property
    def repository(self) -> str:
        """Whole name."""
        return self.key.repository

    @property
    def action(self) -> str:
        """`untag`, or `delete` of the manifest with all tags on it."""
        return self.key.action

    @property
    def digest(self) -> Digest:
        """Of the manifest."""
        return self.manifest.digest


class Predicted(NamedTuple):
    """A blob that is freed once all manifests that need it are deleted, as the plan says."""

    digest: Digest
    size: int
    needed_by: int


class Shared(NamedTuple):
    """A blob that stays, as the plan says: a manifest in `repository` needs it."""

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
        backup: where what is deleted was copied to before, see `Plan.apply`; None without a backup.
        predicted: the blobs that are to be freed, as the plan says; None in journals of formats that did not have them.
        shared: the blobs that stay, as the plan says, by digest.
        asked: how many manifests and blobs were asked for before the first change; None where none was.
        lacked: those of them that were not there, not whole, or not told of.
        planned: the marks of the plan's steps, see `journal_marks`; None in journals before format 3.
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
