"""Carrying out a plan: everything looked at again, written down first, stopped at the first surprise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tqdm.auto import tqdm

from regscope.errors import InvalidInput
from regscope.progress import is_interactive
from regscope.remediation.applied import Applied
from regscope.remediation.backup import absolute, back_up, check_backup, staying
from regscope.remediation.journal import JournalWriter, Predicted, Shared
from regscope.remediation.journal_names import new_journal
from regscope.remediation.journal_plan import marks_of
from regscope.remediation.plan import Plan
from regscope.remediation.plan_run import Run
from regscope.remediation.reclaiming import how_space_is_freed
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import REGISTRY, STORAGE, stated_kind
from regscope.stores.open_store import as_it_is_now
from regscope.stores.removal import open_removal


def apply_plan(
    plan: Plan,
    store: ContentStore | str,
    *,
    dry_run: bool = True,
    concurrency: int = 4,
    max_deletes: int | None = None,
    max_bytes: int | None = None,
    rate: float | None = None,
    backup: str | None = None,
    backup_all: bool = False,
    journal: Path | str | None = None,
    progress: bool | None = None,
    watch: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Applied:
    """Do what is planned.

    Right before, everything is looked up again: a tag that has moved is left alone, and so is a manifest that something
    new needs. Untagging comes first; what holds is deleted before what it holds. Before each step the manifest and its
    tags are written to the journal, on the disk. The first surprise ends it: the result says what was done, and the
    same journal goes on from there.

    Args:
        store: the one that was planned for, or its location; for a plan of a registry's `storage:` that registry.
        dry_run: look everything up again, ask to delete and to put what cannot be there, and change nothing: what a run
            would be refused, such as the deletion of tags, is found out.
        concurrency: deletions at once.
        max_deletes: steps to do at most; the others are left for the next time.
        max_bytes: stop before more bytes than this would come back.
        rate: steps a second at most.
        backup: `oci:FOLDER`: a layout into which what goes is copied, and verified, before the first deletion; the
            journal remembers it. Without one the run stops after the first manifest whose blobs the registry forgets
            with it (Gitea, Pulp): no undo could bring them back. Layers that stay in the registry, since something that
            stays needs them (`Plan.shared`), are not copied: undo takes them from there.
        backup_all: copy these, too, so that the backup is whole by itself.
        journal: the file; by default a new one beside the cache.
        progress: show a progress bar; by default where somebody is watching.
        watch: told after each step how many are settled, and of how many; from any thread.
        stop: once it is set, from any thread, no further step begins, and the rest is left for the next time.

    Raises:
        InvalidInput: `store` is none, or another than the plan's, or read only; the backup's place is no layout, or
            there is none to copy all to; nothing was changed.
        Unsupported, PermissionDeny, AuthFailed: the registry does not delete, or not for you; nothing was changed.
        StoreError: the journal is another plan's, or cannot be written; nothing was changed.
        RegscopeError: the backup failed; nothing was deleted.
    """
    store = as_it_is_now(store)
    # A registry whose own files were planned for is changed through its API.
    from_inside = stated_kind(plan.location) == STORAGE and store.kind == REGISTRY
    if store.location != plan.location and not from_inside:
        raise InvalidInput(
            f"the plan is for {plan.location}, and this is {store.location}", next_step="Plan anew for this store."
        )
    if rate is not None and not rate > 0:
        raise InvalidInput(f"a rate is more than 0 steps a second, and this is {rate}")
    if backup is not None:
        check_backup(backup)
    elif backup_all:
        raise InvalidInput(
            "all is to be copied, and no place was named", next_step="Name a folder: backup='oci:FOLDER'."
        )
    run = Run(plan, store, open_removal(store), concurrency, rate, dry_run)
    run.bound(max_deletes, max_bytes)
    run.watch = watch
    run.stop = stop or run.stop
    with ExitStack() as stack:
        show = not (is_interactive() if progress is None else progress)
        run.bar = stack.enter_context(tqdm(total=len(plan.steps), desc="apply", disable=show, leave=False))
        for repository in run.repositories():
            run.removal.check_deletes(repository)
        if dry_run:
            run.try_out()
        else:
            if len(plan.steps):
                run.comes_back = how_space_is_freed(store, from_inside)
            path = new_journal(plan.identity) if journal is None else Path(journal)
            run.journal = stack.enter_context(JournalWriter(path, store.location, plan.identity))
            run.journal.plans(marks_of(plan))
            run.journal.predict(*_expected(plan))
        run.look_for_what_is_lacking(not show)
        if run.journal is not None and backup is not None:
            leave_out = set() if backup_all else staying(store, plan.shared)
            run.backup = back_up(store, backup, run.everything(), leave_out, progress, lost=run.lacking.missing)
            run.journal.backed_up(absolute(backup))
        run.carry_out()
    return run.result()


def _expected(plan: Plan) -> tuple[list[Predicted], list[Shared]]:
    """What is to come back, and what is to stay, for the journal."""
    goes = plan.blobs[["digest", "size", "needed_by"]].astype(object).itertuples(index=False, name=None)
    stays = plan.shared[["digest", "size", "repository"]].astype(object).itertuples(index=False, name=None)
    return [Predicted(*row) for row in goes], [Shared(*row) for row in stays]
