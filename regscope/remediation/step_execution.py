"""`StepExecution`: runs one step: checks the tag or manifest again, writes the journal, and deletes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from regscope.errors import RegscopeError
from regscope.remediation.journal_writer import JournalWriter
from regscope.remediation.live_state import LiveState
from regscope.remediation.planned_step import UNTAG, PlannedStep
from regscope.remediation.step_outcomes import DONE, GONE, SKIPPED, WOULD, Outcome
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import is_gone, resolved
from regscope.stores.registry_store import registry_of
from regscope.stores.removal import Removal


class StepExecution:
    """Runs single steps.

    Args:
        store: the store, without a cache.
        removal: deletes from the same store.
        journal: records each step before and after it is done; None for a dry run, which changes nothing.
    """

    def __init__(self, store: ContentStore, removal: Removal, journal: JournalWriter | None) -> None:
        self._store, self._removal, self._journal = store, removal, journal

    def do(self, step: PlannedStep, live: LiveState) -> Outcome:
        """Run a step, unless a newer tag or manifest needs what it removes.

        Raises:
            RegscopeError: the store refused the deletion or cannot be read, or the journal cannot be written.
        """
        return self._untag(step, live) if step.action == UNTAG else self._delete(step, live)

    def done_before(self, step: PlannedStep) -> None:
        """Record as done a step that an earlier run had begun, and whose manifest is gone."""
        if self._journal is not None:
            self._journal.end(step.key)

    def _untag(self, step: PlannedStep, live: LiveState) -> Outcome:
        tag = step.name
        now = resolved(self._store, step.repository, tag)
        if now is None:
            return Outcome(GONE)
        if now != step.digest and tag not in live.stand_ins:
            return Outcome(SKIPPED, f"the tag was moved to {now} during the run")
        if self._journal is None:
            return Outcome(WOULD)
        self._journal.begin(step, self._store.manifest(step.repository, step.digest), self._native_id(step))
        if tag in live.stand_ins:
            stands_in = Digest(live.stand_ins[tag])
            return self._written(step, lambda: self._removal.forget_manifest(step.repository, stands_in, (tag,)))
        noted = partial(self._journal.stand_in, step.key)
        return self._written(step, lambda: self._removal.untag(step.repository, tag, noted))

    def _delete(self, step: PlannedStep, live: LiveState) -> Outcome:
        for tag in step.tags:
            now = resolved(self._store, step.repository, tag)
            if now not in (None, step.digest):
                why = f"its tag {tag} was moved during the run"
                live.keep(step.digest, why)
                return Outcome(SKIPPED, why)
        if (why_it_stays := live.look_again(step.digest)) is not None:
            return Outcome(SKIPPED, why_it_stays)
        if self._journal is None:
            return Outcome(WOULD)
        self._journal.begin(step, live.manifests[step.digest], self._native_id(step))
        digest = Digest(step.digest)
        return self._written(step, lambda: self._removal.forget_manifest(step.repository, digest, step.tags))

    def _native_id(self, step: PlannedStep) -> str | None:
        registry = registry_of(self._store)
        return None if registry is None else registry.native_id(step.repository, step.digest)

    def _written(self, step: PlannedStep, change: Callable[[], None]) -> Outcome:
        """Make a change that the journal has recorded."""
        assert self._journal is not None
        outcome = DONE
        try:
            change()
        except RegscopeError as error:
            if not is_gone(error):
                raise
            outcome = GONE
        self._journal.end(step.key)
        return Outcome(outcome)
