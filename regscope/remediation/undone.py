"""`Undone`: what was brought back, or would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from regscope import text
from regscope.remediation.step_outcomes import told_lines

RESTORED, THERE, LEFT_ALONE, IMPOSSIBLE, WOULD = (
    "restored", "there already", "left alone", "impossible", "would be restored",
)  # fmt: skip
_SHOWN = 10  # rows


@dataclass(frozen=True, repr=False, eq=False)
class Undone:
    """What was brought back, and what could not be.

    Attributes:
        location: the store.
        dry_run: whether nothing was written, and this is only what would be.
        table: one row for each manifest, and for each tag: `repository`, `tag` (absent for a manifest), `digest` (str),
            `outcome` (category: restored, there already, left alone, impossible, would be restored), `reason` (str).
        lacking: the blobs that are neither in the registry nor in the backup, and are needed: `repository`, `digest`
            (str), `size` (Int64, bytes; absent where the journal does not say it).
    """

    location: str
    dry_run: bool
    table: pd.DataFrame
    lacking: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether all is as it was."""
        return not self.table["outcome"].isin([LEFT_ALONE, IMPOSSIBLE]).any()

    def summary(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        rows = self.table.astype(object).where(self.table.notna(), None)
        lacking = self.lacking.astype(object).where(self.lacking.notna(), None)
        return {
            "location": self.location,
            "dry_run": self.dry_run,
            "ok": self.ok,
            "counts": self.counts(),
            "lacking": lacking.to_dict("records"),
            "rows": rows.to_dict("records"),
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """How many manifests, and how many tags, had each outcome; only those that there are."""
        is_tag = self.table["tag"].notna()
        found: dict[str, dict[str, int]] = {}
        for outcome in self.table["outcome"].cat.categories:
            rows = self.table["outcome"] == outcome
            if rows.any():
                found[outcome] = {"manifests": int((rows & ~is_tag).sum()), "tags": int((rows & is_tag).sum())}
        return found

    def facts(self) -> dict[str, str]:
        """The result in words."""
        found = {
            outcome: f"{text.count(number['manifests'], 'manifest')}, {text.count(number['tags'], 'tag')}"
            for outcome, number in self.counts().items()
        }
        if len(self.lacking):
            blobs, size = text.count(self.lacking["digest"].nunique(), "blob"), self.lacking.drop_duplicates("digest")
            found["lacking"] = f"{blobs}, {text.size(size['size'].sum())}: neither in the registry nor in a backup"
        return found

    def _notes(self) -> list[str]:
        told = self.table[self.table["outcome"].isin([LEFT_ALONE, IMPOSSIBLE])].head(_SHOWN)
        return [*(["Nothing has been changed."] if self.dry_run else []), *told_lines(told)]

    @property
    def _title(self) -> str:
        return f"{'What undoing would bring back' if self.dry_run else 'Undone'} on {self.location}"

    def __repr__(self) -> str:
        return text.facts(self._title, self.facts(), self._notes())

    def _repr_html_(self) -> str:
        return text.card(self._title, self.facts(), self._notes())
