"""`PlanData`: the tables and figures of a plan, and what is computed from them; `Plan` adds the operations."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from regscope.remediation.in_use import is_image
from regscope.remediation.plan_tables import as_rows
from regscope.remediation.planned_step import DELETE, UNTAG, PlannedStep, StepKey
from regscope.remediation.policy import Policy, names_in_use
from regscope.spec.json_forms import one_line


@dataclass(frozen=True, repr=False, eq=False)
class PlanData:
    """The data of a plan. `Plan` documents the attributes, and `plan_tables` the columns of the tables.

    The modules that check and run a plan use this class; `Plan` imports them.
    """

    location: str
    fingerprint: str
    taken_at: datetime
    policy: Policy
    table: pd.DataFrame
    steps: pd.DataFrame
    tags: pd.DataFrame
    blobs: pd.DataFrame
    shared: pd.DataFrame
    lacking: pd.DataFrame
    freed_bytes: int
    at_most: bool
    orphaned_bytes: int
    unknown: tuple[str, ...]

    @property
    def identity(self) -> str:
        """A digest of the steps, the tags, and the snapshot of the plan."""
        written = one_line([self.location, self.fingerprint, as_rows(self.steps), as_rows(self.tags)])
        return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()

    def planned_steps(self) -> list[PlannedStep]:
        """The rows of `steps`, each with its key and the tags that it removes."""
        going: dict[tuple[str, str], list[str]] = {}
        goes = self.tags[self.tags["goes"]]
        for repository, digest, tag in zip(goes["repository"], goes["digest"], goes["tag"], strict=True):
            going.setdefault((repository, digest), []).append(tag)
        columns = ["repository", "action", "tag", "digest", "frees"]
        rows = self.steps[columns].astype(object).where(self.steps[columns].notna(), None)
        return [
            PlannedStep(
                StepKey.of(repository, action, tag, digest),
                digest,
                (tag,) if action == UNTAG else tuple(going.get((repository, digest), ())),
                frees,
            )
            for repository, action, tag, digest, frees in rows.itertuples(index=False, name=None)
        ]

    @property
    def goes(self) -> pd.DataFrame:
        """The rows of `table` whose action is delete or untag."""
        return self.table[self.table["action"] != "keep"].reset_index(drop=True)

    @property
    def by_repository(self) -> pd.DataFrame:
        """Steps by repository: `repository` (str), `untag`, `delete` (int64: steps) and `frees` (int64, bytes)."""
        actions = {action: (self.steps["action"] == action).astype("int64") for action in (UNTAG, DELETE)}
        counted = self.steps[["repository", "frees"]].assign(**actions)
        found = counted.groupby("repository", sort=True, as_index=False)[[UNTAG, DELETE, "frees"]].sum()
        return found[["repository", UNTAG, DELETE, "frees"]]

    @property
    def spared(self) -> pd.DataFrame:
        """The rows of `table` that a rule matched, but that are kept."""
        rows = (self.table["action"] == "keep") & self.table["rule"].notna()
        return self.table[rows].reset_index(drop=True)

    @property
    def in_use(self) -> tuple[str, ...]:
        """The image names in `in_use` of the policy; those in `unknown` are not in this registry."""
        return tuple(filter(is_image, names_in_use(self.policy)))

    @property
    def not_understood(self) -> tuple[str, ...]:
        """The names in `in_use` of the policy that are no image references: they keep nothing."""
        return tuple(name for name in names_in_use(self.policy) if not is_image(name))
