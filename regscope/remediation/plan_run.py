"""`Run`: one run of a plan, with the order of the steps, the bounds, and the outcome of each step."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from regscope.errors import RegscopeError
from regscope.registry.rate_limiter import RateLimiter
from regscope.remediation.blobs_after_deletion import BlobsAfterDeletion
from regscope.remediation.journal import JournalRecord
from regscope.remediation.live_state import LiveState
from regscope.remediation.plan_data import PlanData
from regscope.remediation.planned_step import DELETE, UNTAG, PlannedStep, StepKey
from regscope.remediation.run_options import RunOptions
from regscope.remediation.step_execution import StepExecution
from regscope.remediation.step_outcomes import DONE, FAILED, GONE, LEFT, OUTCOMES, SKIPPED, Outcome
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import resolved


class _Stopped(Exception):
    """A step got an unexpected answer: no other step starts."""


class Run:
    """Runs the steps of a plan, repository by repository; the first unexpected answer ends it.

    Args:
        plan: the plan.
        steps: the steps of the plan.
        store: the store, without a cache.
        execution: runs single steps.
        blobs: checks whether the blobs of the first deleted manifests stay.
        journal: the record of earlier runs in the journal; None for a dry run.
        options: the bounds of the run, its concurrency and its rate.

    Attributes:
        surprise: the unexpected answer that ended the run; None where there was none.
    """

    def __init__(
        self,
        plan: PlanData,
        steps: Sequence[PlannedStep],
        store: ContentStore,
        execution: StepExecution,
        blobs: BlobsAfterDeletion,
        journal: JournalRecord | None,
        options: RunOptions,
    ) -> None:
        self._plan, self._store, self._execution, self._blobs = plan, store, execution, blobs
        self._steps, self._outcomes = steps, dict[StepKey, Outcome]()
        self._concurrency, self._stop, self._watch = max(options.concurrency, 1), options.stop, options.watch
        self._rate, self._shows_progress = RateLimiter(rate=options.rate), options.shows_progress
        self._done: set[StepKey] = journal.done if journal else set()
        self._begun: set[StepKey] = journal.begun if journal else set()
        self._entries = journal.entries if journal else []
        self._steps_left = len(self._steps) if options.max_deletes is None else options.max_deletes
        self._bytes_left = options.max_bytes
        self._tag_rows, self._table_rows = (rows.groupby("repository").indices for rows in (plan.tags, plan.table))
        self._stopped = threading.Event()
        self._bar: tqdm[Any] | None = None
        self.surprise: BaseException | None = None

    def carry_out(self) -> None:
        """Run all steps, as far as the bounds allow."""
        with tqdm(total=len(self._steps), desc="apply", disable=not self._shows_progress, leave=False) as self._bar:
            try:
                self._look_at_done([step for step in self._steps if step.key in self._done])
                todo = [step for step in self._steps if step.key not in self._done]
                self._blobs.check([step for step in todo if step.action == DELETE])
                for repository, steps in _by_repository(todo).items():
                    if self._stop.is_set():
                        break
                    self._one_repository(repository, steps)
            except _Stopped:
                pass
            except RegscopeError as error:
                self.surprise = error
        why = "the run was stopped before" if self._stop.is_set() else None
        for step in self._steps:
            self._outcomes.setdefault(step.key, Outcome(LEFT, why))

    def _look_at_done(self, steps: Sequence[PlannedStep]) -> None:
        """Set the outcomes of steps of earlier runs; they are not repeated, even if the content is there again."""
        with ThreadPoolExecutor(self._concurrency) as pool:
            found = pool.map(lambda step: resolved(self._store, step.repository, step.name), steps)
            for step, now in zip(steps, found, strict=True):
                if now == step.digest:
                    self._settle(step, SKIPPED, "an earlier run removed it, but it is there again: make a new plan")
                else:
                    self._settle(step, DONE, "in an earlier run")

    def _one_repository(self, repository: str, steps: list[PlannedStep]) -> None:
        live = self._live_state(repository, steps)
        for batch in _batches(steps, live):
            chosen = [step for step in batch if self._wanted(step, live)]
            chosen = [step for step in chosen if self._affordable(step)]
            while chosen and self._blobs.is_open and not self._has_ended:
                self._do(chosen.pop(0), live)  # one by one, until it is known whether blobs stay
            with ThreadPoolExecutor(self._concurrency, thread_name_prefix="regscope-apply") as pool:
                try:
                    list(pool.map(lambda step: self._do(step, live), chosen))
                except BaseException:
                    self._stopped.set()
                    raise
            if self.surprise is not None:
                raise _Stopped

    def _live_state(self, repository: str, steps: list[PlannedStep]) -> LiveState:
        tags = self._plan.tags.iloc[self._tag_rows.get(repository, [])]
        planned_tags = dict(zip(tags["tag"], tags["digest"], strict=True))
        deletions = [step.digest for step in steps if step.action == DELETE]
        known = set(self._plan.table["digest"].iloc[self._table_rows.get(repository, [])])
        return LiveState(self._store, repository, planned_tags, deletions, self._stand_ins(repository), known)

    def _stand_ins(self, repository: str) -> dict[str, Collection[Digest]]:
        """By tag, the temporary manifests that earlier runs with this journal pushed over it."""
        entries = (entry for entry in self._entries if entry.repository == repository and entry.stand_ins)
        return {entry.tags[0]: entry.stand_ins for entry in entries}

    def _wanted(self, step: PlannedStep, live: LiveState) -> bool:
        """Whether a step must still be done; else its outcome is set."""
        if step.action == UNTAG:
            if step.name in live.moved:
                self._settle(step, SKIPPED, f"the tag points to {live.moved[step.name]} now")
                return False
        elif step.digest in live.held:
            self._settle(step, SKIPPED, live.held[step.digest])
            return False
        elif step.digest not in live.manifests:
            if step.key in self._begun:
                self._execution.done_before(step)
            self._settle(step, DONE if step.key in self._begun else GONE)
            return False
        return True

    def _affordable(self, step: PlannedStep) -> bool:
        """Whether the bounds of this run allow a step; once they do not, the later steps are not done either."""
        if self._steps_left <= 0 or (self._bytes_left is not None and step.frees > self._bytes_left):
            self._steps_left = 0
            self._settle(step, LEFT, "beyond the bounds of this run")
            return False
        self._steps_left -= 1
        if self._bytes_left is not None:
            self._bytes_left -= step.frees
        return True

    @property
    def _has_ended(self) -> bool:
        return self._stopped.is_set() or self._stop.is_set()

    def _do(self, step: PlannedStep, live: LiveState) -> None:
        if self._has_ended:
            return
        try:
            self._rate.wait()
            outcome = self._execution.do(step, live)
            self._settle(step, *outcome)
            if self._blobs.is_open and step.action == DELETE and outcome.what == DONE:
                self._blobs.look(step, live)
        except RegscopeError as error:
            self._stopped.set()
            self.surprise = self.surprise or error
            if step.key not in self._outcomes:
                self._settle(step, FAILED, error.message)

    def _settle(self, step: PlannedStep, what: str, reason: str | None = None) -> None:
        self._outcomes[step.key] = Outcome(what, reason)
        if self._bar is not None:
            self._bar.update()
        if self._watch is not None:
            self._watch(len(self._outcomes), len(self._steps))

    @property
    def has_skipped(self) -> bool:
        """Whether a step was skipped, so that less is freed than planned."""
        return any(outcome.what == SKIPPED for outcome in self._outcomes.values())

    def table(self) -> pd.DataFrame:
        """The outcome of each step: `Applied.table`."""
        outcomes = [self._outcomes[step.key] for step in self._steps]
        steps = self._plan.steps
        return pd.DataFrame(
            {
                "repository": steps["repository"],
                "tag": steps["tag"],
                "digest": steps["digest"],
                "action": steps["action"],
                "outcome": pd.Categorical([outcome.what for outcome in outcomes], categories=OUTCOMES),
                "reason": pd.array([outcome.reason for outcome in outcomes], dtype="str"),
                "frees": steps["frees"],
            }
        )


def _by_repository(steps: Iterable[PlannedStep]) -> dict[str, list[PlannedStep]]:
    found: dict[str, list[PlannedStep]] = defaultdict(list)
    for step in steps:
        found[step.repository].append(step)
    return found


def _batches(steps: Sequence[PlannedStep], live: LiveState) -> Iterator[list[PlannedStep]]:
    """Groups of steps that can run at once: no manifest in a group is a child or referrer of another one in it."""
    batch: list[PlannedStep] = []
    below: set[str] = set()
    for step in steps:
        if batch and (step.digest in below or step.action != batch[-1].action):
            yield batch
            batch, below = [], set()
        batch.append(step)
        if step.action == DELETE:
            below.update(live.holds(step.digest))
    if batch:
        yield batch
