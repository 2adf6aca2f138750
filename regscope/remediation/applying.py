"""Running a plan: each step is checked again and written to the journal first; the first unexpected answer ends it."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path

from regscope.errors import InvalidInput
from regscope.remediation.applied import Applied
from regscope.remediation.backup import Backup, absolute, back_up, staying
from regscope.remediation.blobs_after_deletion import BlobsAfterDeletion
from regscope.remediation.journal import Predicted, Shared
from regscope.remediation.journal_names import new_journal
from regscope.remediation.journal_writer import JournalWriter
from regscope.remediation.lacking import Lacking, lacking_before
from regscope.remediation.plan_data import PlanData
from regscope.remediation.plan_run import Run
from regscope.remediation.planned_step import DELETE, UNTAG, PlannedStep
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.remediation.run_options import RunOptions
from regscope.remediation.step_execution import StepExecution
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import REGISTRY, STORAGE, stated_kind
from regscope.stores.open_store import as_it_is_now
from regscope.stores.removal import Removal, open_removal


def apply_plan(plan: PlanData, store: ContentStore | str, options: RunOptions) -> Applied:
    """Run the steps of a plan; see `Plan.apply`."""
    store = as_it_is_now(store)
    # A plan made from a registry's own files is applied through the registry's API.
    from_inside = stated_kind(plan.location) == STORAGE and store.kind == REGISTRY
    if store.location != plan.location and not from_inside:
        raise InvalidInput(
            f"the plan is for {plan.location}, not for {store.location}", next_step="Make a new plan for this store."
        )
    removal, steps = open_removal(store), plan.planned_steps()
    for repository in dict.fromkeys(step.repository for step in steps):
        removal.check_deletes(repository)
    with ExitStack() as stack:
        tags_go = _try_out(removal, steps) if options.dry_run else ""
        comes_back = how_space_is_freed(store, from_inside) if steps and not options.dry_run else ()
        journal = None
        if not options.dry_run:
            identity = plan.identity
            path = new_journal(identity) if options.journal is None else Path(options.journal)
            journal = stack.enter_context(JournalWriter(path, store.location, identity))
            _note(journal, plan, steps)
        done = set() if journal is None else journal.known.done
        going = [step for step in steps if step.action == DELETE and step.key not in done]
        lacking = _look_for_what_is_lacking(plan, store, going, journal, options)
        backup = None if journal is None else _back_up(plan, store, going, journal, lacking, options)
        undo_needs_blobs = journal is not None and not (removal.frees_at_once or journal.has_backup)
        blobs = BlobsAfterDeletion(store, plan.blobs["digest"], lacking.missing, undo_needs_blobs)
        execution = StepExecution(store, removal, journal)
        run = Run(plan, steps, store, execution, blobs, None if journal is None else journal.known, options)
        run.carry_out()
    return Applied(
        location=store.location,
        dry_run=options.dry_run,
        table=run.table(),
        journal=None if journal is None else journal.path,
        stopped_by=run.surprise,
        at_most=plan.at_most or run.has_skipped,
        blobs_stay=blobs.stay,
        backup=backup,
        comes_back=comes_back,
        lacking=lacking,
        tags_go=tags_go,
    )


def _try_out(removal: Removal, steps: list[PlannedStep]) -> str:
    """Check whether the registry would refuse the steps; nothing is changed.

    Returns:
        How this registry removes tags, in a sentence.

    Raises:
        Unsupported, PermissionDeny, AuthFailed: the registry would refuse a step.
    """
    tags_go = ""
    for repository in dict.fromkeys(step.repository for step in steps if step.tags):
        tags_go = removal.how_tags_go(repository)
    for repository in dict.fromkeys(step.repository for step in steps if step.action == UNTAG):
        removal.check_untags(repository)
    return tags_go


def _note(journal: JournalWriter, plan: PlanData, steps: list[PlannedStep]) -> None:
    """Write the plan's steps, freed blobs and shared blobs to the journal, before the first step."""
    journal.plans(steps)
    goes = plan.blobs[["digest", "size", "needed_by"]].astype(object).itertuples(index=False, name=None)
    stays = plan.shared[["digest", "size", "repository"]].astype(object).itertuples(index=False, name=None)
    journal.predict([Predicted(*row) for row in goes], [Shared(*row) for row in stays])


def _look_for_what_is_lacking(
    plan: PlanData, store: ContentStore, going: list[PlannedStep], journal: JournalWriter | None, options: RunOptions
) -> Lacking:
    """Look for missing content before the first change; a continued run reads the result from its journal."""
    if journal is not None and journal.known.asked is not None:
        return Lacking.of(journal.known.asked, journal.known.lacked)
    lacking = lacking_before(plan, store, going, options.concurrency, options.stop, options.shows_progress)
    if journal is not None and not options.stop.is_set():
        journal.looked(lacking.asked, lacking.rows)
    return lacking


def _back_up(
    plan: PlanData,
    store: ContentStore,
    going: list[PlannedStep],
    journal: JournalWriter,
    lacking: Lacking,
    options: RunOptions,
) -> Backup | None:
    """Copy the manifests to be deleted and their blobs into the backup, before the first change."""
    if options.backup is None:
        return None
    unless_stopped = itertools.takewhile(lambda _: not options.stop.is_set(), going)
    manifests = ((step.repository, step.digest, [*step.tags]) for step in unless_stopped)
    leave_out = set() if options.backup_all else staying(store, plan.shared)
    made = back_up(store, options.backup, manifests, leave_out, options.progress, lost=lacking.missing)
    if not options.stop.is_set():  # a run that was stopped has an incomplete backup
        journal.backed_up(absolute(options.backup))
    return made
