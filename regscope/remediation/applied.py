"""`Applied`: the outcome of each step of a plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from regscope import text
from regscope.errors import RegscopeError
from regscope.remediation.backup import Backup
from regscope.remediation.collected import Collected, collected
from regscope.remediation.lacking import Lacking
from regscope.remediation.reclaiming import when_bytes_come_back
from regscope.remediation.step_outcomes import DONE, FAILED, GONE, LEFT, SKIPPED, WOULD, outcome_lines
from regscope.remediation.undoing import undo
from regscope.remediation.undone import Undone
from regscope.stores.content_store import ContentStore

_SHOWN = 10  # rows


@dataclass(frozen=True, repr=False, eq=False)
class Applied:
    """Which steps of a plan were done, which were not, and why.

    Attributes:
        location: the location of the store.
        dry_run: whether this was a dry run, which changes nothing.
        table: one row for each step: `repository`, `tag`, `digest` (str), `action` (category: untag, delete),
            `outcome` (category: done, gone already, skipped, left, failed, would be done), `reason` (str), `frees`
            (int64, bytes).
        journal: the path of the journal; None after a dry run.
        stopped_by: the first unexpected answer, which ended the run; None where there was none.
        at_most: whether `freed_bytes` is an upper bound.
        blobs_stay: whether the registry still had the blobs of a deleted manifest: undo finds them until the next
            garbage collection.
        backup: what was copied into the backup, and what was not; None without a backup.
        comes_back: how this registry frees the bytes, in sentences; empty after a dry run, and for a plan without
            steps.
        lacking: what was missing in the registry before the first change: `lacking.table` has `repository`, `digest`,
            `what`, `error` (str) and `stays` (bool: whether a manifest that stays needs it).
        tags_go: after a dry run: how this registry removes tags, in a sentence; else empty.
    """

    location: str
    dry_run: bool
    table: pd.DataFrame
    journal: Path | None
    stopped_by: BaseException | None
    at_most: bool
    blobs_stay: bool = False
    backup: Backup | None = None
    comes_back: tuple[str, ...] = ()
    lacking: Lacking | None = None
    tags_go: str = ""

    @property
    def ok(self) -> bool:
        """Whether no unexpected answer ended the run."""
        return self.stopped_by is None

    @property
    def freed_bytes(self) -> int:
        """Bytes that the next garbage collection frees because of the steps that were done, or would be."""
        return int(self.table.loc[self.table["outcome"].isin([DONE, WOULD, GONE]), "frees"].sum())

    def undo(
        self,
        store: ContentStore | str,
        *,
        backup: str | None = None,
        dry_run: bool = True,
        progress: bool | None = None,
    ) -> Undone:
        """Restore what was deleted; nothing is changed without `dry_run=False`; see `regscope.undo`.

        Raises:
            RegscopeError: the run changed nothing, or `regscope.undo` failed.
        """
        if self.journal is None:
            raise RegscopeError("there is nothing to undo: the run changed nothing")
        return undo(self.journal, store, backup=backup, dry_run=dry_run, progress=progress)

    def collected(self, store: ContentStore | str) -> Collected:
        """Ask the store whether the freed blobs were collected; see `regscope.remediation.collected.collected`."""
        if self.journal is None:
            raise RegscopeError("there are no freed blobs to look for: the run changed nothing")
        return collected(self.journal, store)

    def counts(self) -> dict[str, int]:
        """The number of steps by outcome; outcomes without a step are left out."""
        found = self.table["outcome"].value_counts()
        return {str(outcome): int(number) for outcome, number in found.items() if number}

    def summary(self) -> dict[str, Any]:
        """The result as JSON values, for programs."""
        rows = self.table.astype(object).where(self.table.notna(), None)
        return {
            "location": self.location,
            "dry_run": self.dry_run,
            "ok": self.ok,
            "stopped_by": None if self.stopped_by is None else text.plain(self.stopped_by, 1000),
            "freed_bytes": self.freed_bytes,
            "at_most": self.at_most,
            "comes_back": list(self.comes_back),
            "journal": None if self.journal is None else str(self.journal),
            "lacking": None if self.lacking is None else self.lacking.summary(),
            "backup": None if self.backup is None else asdict(self.backup),
            "counts": self.counts(),
            "steps": rows.to_dict("records"),
        }

    def facts(self) -> dict[str, str]:
        """The figures of the result, by their labels."""
        bound = "at most " if self.at_most else ""
        found = {outcome: text.count(number, "step") for outcome, number in self.counts().items()}
        found["freed"] = f"{bound}{text.size(self.freed_bytes)} ({self.freed_bytes:,} bytes)"
        if self.lacking is not None and len(self.lacking.lost):
            lost = text.count(len(self.lacking.lost), "manifest or blob", "manifests and blobs")
            found["missing before"] = f"{lost} of {self.lacking.asked:,} that were checked"
        if self.backup is not None:
            found["backup"] = str(self.backup)
        if self.journal is not None:
            found["journal"] = str(self.journal)
        if self.stopped_by is not None:
            found["stopped by"] = text.plain(self.stopped_by, 500)
        return found

    def notes(self) -> list[str]:
        """Notes on the result: what is missing, how the bytes are freed, how to continue."""
        lacking = [] if self.lacking is None else self.lacking.notes()
        if self.dry_run:
            return [
                "Nothing has been changed: use dry_run=False to run the plan.",
                *([self.tags_go] if self.tags_go else []),
                *lacking,
            ]
        found = [*lacking, *(self.comes_back or [when_bytes_come_back(self.location)])]
        if self.blobs_stay:
            found.append(
                "Until the bytes are freed undo needs no backup: the blobs of the deleted manifests are still stored."
            )
        if self.journal is not None and (LEFT in self.counts() or not self.ok):
            found.append("Apply the plan again with the same journal to continue.")
        return found

    @property
    def _title(self) -> str:
        return f"{'Dry run' if self.dry_run else 'Applied'} on {self.location}"

    def __repr__(self) -> str:
        told = self.table[self.table["outcome"].isin([SKIPPED, FAILED])].head(_SHOWN)
        return text.facts(self._title, self.facts(), [*self.notes(), *outcome_lines(told)])

    def _repr_html_(self) -> str:
        told = self.table[self.table["outcome"] != DONE].head(_SHOWN)
        columns = ["repository", "tag", "digest", "action", "outcome", "reason"]
        rows = told.assign(
            tag=told["tag"].fillna(text.ABSENT),
            reason=told["reason"].fillna(""),
            digest=[text.short_digest(digest) for digest in told["digest"]],
        )
        shown = list(rows[columns].astype(object).itertuples(index=False, name=None))
        return text.card(self._title, self.facts(), self.notes(), columns if shown else (), shown)
