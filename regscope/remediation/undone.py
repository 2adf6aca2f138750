"""`Undone`: what undo restored, or would restore, and what cannot be restored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from regscope import text
from regscope.remediation.step_outcomes import outcome_lines

RESTORED, THERE, LEFT_ALONE, IMPOSSIBLE, WOULD = (
    "restored", "there already", "left alone", "impossible", "would be restored",
)  # fmt: skip
REGISTRY, ANOTHER, BACKUP, PROVIDER = "registry", "another repository", "backup", "provider"
"""Where the blobs of a manifest are: in its own repository, in another one, or in the backup; or whoever runs the
registry restores the whole manifest."""
_HINT = "Nothing was changed: use undo(..., dry_run=False) to restore."
_SHOWN = 10  # rows


@dataclass(frozen=True, repr=False, eq=False)
class Undone:
    """What undo restored, and what it could not restore.

    Attributes:
        location: the location of the store.
        dry_run: whether this was a dry run, which writes nothing.
        table: one row for each manifest, and for each tag: `repository`, `tag` (absent for a manifest), `digest` (str),
            `outcome` (category: restored, there already, left alone, impossible, would be restored), `reason` (str: why
            it was skipped or is impossible), `blobs_from` (str: where the blobs of a restored manifest are: registry,
            another repository, backup, or several of them; provider where whoever runs the registry restores the
            manifest; absent where none is needed).
        lacking: the needed blobs that are neither in the registry nor in the backup: `repository`, `digest` (str),
            `size` (Int64, bytes; absent where the journal does not record it).
    """

    location: str
    dry_run: bool
    table: pd.DataFrame
    lacking: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether each manifest and tag is, or would be, as it was before the run."""
        return not self.table["outcome"].isin([LEFT_ALONE, IMPOSSIBLE]).any()

    def summary(self) -> dict[str, Any]:
        """The result as JSON values, for programs."""
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
        """The numbers of manifests and of tags by outcome; outcomes without either are left out."""
        is_tag = self.table["tag"].notna()
        found: dict[str, dict[str, int]] = {}
        for outcome in self.table["outcome"].cat.categories:
            rows = self.table["outcome"] == outcome
            if rows.any():
                found[outcome] = {"manifests": int((rows & ~is_tag).sum()), "tags": int((rows & is_tag).sum())}
        return found

    def facts(self) -> dict[str, str]:
        """The figures of the result, by their labels."""
        found = {
            outcome: f"{text.count(number['manifests'], 'manifest')}, {text.count(number['tags'], 'tag')}"
            for outcome, number in self.counts().items()
        }
        if self.dry_run:
            found |= self._blobs_from()
        if len(self.lacking):
            blobs, size = text.count(self.lacking["digest"].nunique(), "blob"), self.lacking.drop_duplicates("digest")
            found["lacking"] = f"{blobs}, {text.size(size['size'].sum())}: neither in the registry nor in a backup"
        return found

    def _blobs_from(self) -> dict[str, str]:
        """The number of manifests that would be restored, by the places of their blobs."""
        rows = self.table[self.table["tag"].isna() & (self.table["outcome"] == WOULD)]
        sources = rows["blobs_from"].value_counts().sort_index()
        told = [f"{source}: {text.count(int(many), 'manifest')}" for source, many in sources.items()]
        return {"blobs from": "; ".join(told)} if told else {}

    def _lines(self) -> list[str]:
        """Lines on what is not restored, and why; after a dry run also on what would be, and from where."""
        lines = outcome_lines(self.table[self.table["outcome"].isin([LEFT_ALONE, IMPOSSIBLE])].head(_SHOWN))
        if self.dry_run:
            would = self.table[self.table["outcome"] == WOULD]
            source = would["blobs_from"].map(_worded, na_action="ignore")
            lines += outcome_lines(would.assign(reason=source.fillna("no blobs of its own")).head(_SHOWN))
            lines += [f"{len(would) - _SHOWN:,} more in .table"] if len(would) > _SHOWN else []
        return lines

    def _notes(self) -> list[str]:
        return [_HINT] if self.dry_run else []

    @property
    def _title(self) -> str:
        return f"{'What undo would restore' if self.dry_run else 'Undone'} on {self.location}"

    def __repr__(self) -> str:
        return text.facts(self._title, self.facts(), [*self._notes(), *self._lines()])

    def _repr_html_(self) -> str:
        columns = ["repository", "tag", "digest", "outcome", "blobs_from", "reason"]
        told = self.table[~self.table["outcome"].isin([RESTORED, THERE])].head(_SHOWN)
        rows = told.assign(
            tag=told["tag"].fillna(text.ABSENT),
            digest=[text.short_digest(digest) for digest in told["digest"]],
            blobs_from=told["blobs_from"].fillna(""),
            reason=told["reason"].fillna(""),
        )
        shown = list(rows[columns].astype(object).itertuples(index=False, name=None))
        return text.card(self._title, self.facts(), self._notes(), columns if shown else (), shown)


def _worded(blobs_from: str) -> str:
    return "by whoever runs the registry" if blobs_from == PROVIDER else f"blobs from {blobs_from}"
