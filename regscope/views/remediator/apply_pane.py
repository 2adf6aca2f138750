"""Applying a plan in a widget: a dry run, a confirmation, the journal, and undo."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import traitlets

from regscope import text
from regscope.errors import InvalidInput, NotAStore, RegscopeError
from regscope.remediation.applied import Applied
from regscope.remediation.journal_names import new_journal
from regscope.remediation.journal_reader import read_journal
from regscope.remediation.plan import Plan
from regscope.remediation.step_outcomes import FAILED, SKIPPED, outcome_lines
from regscope.remediation.undone import IMPOSSIBLE, LEFT_ALONE, Undone
from regscope.stores.content_store import ContentStore
from regscope.views.explorer.pane import Pane, in_words

_PAUSE = 0.1  # seconds between two updates of the progress
_TOLD = 8
_UNDOING = "Undoing"


class ApplyPane(Pane):
    """Applies a plan, after a dry run and after its name was typed, and undoes it.

    Requests to the store are made in a thread, so that other widgets and cells keep working.

    Attributes:
        plan: the plan to apply; a new plan needs a new dry run.
        outdated: whether the rules were changed and are invalid: the plan cannot be applied then.
        tried: the result of the dry run; None if there was none of this plan.
        done: the result of the last run, of this plan or an earlier one; None before any.
        undone: the result of undoing `done`; None if it was not undone.
        backup: the layout for a backup before the run, `oci:FOLDER`; empty for none.
        typed, typed_to_undo: the confirmation that was typed.
        running: the running action; empty if there is none.
        progress: the progress of the action, from 0 to 1; None while unknown.
    """

    plan = traitlets.Instance(Plan, allow_none=True)
    outdated = traitlets.Bool()
    tried = traitlets.Instance(Applied, allow_none=True)
    done = traitlets.Instance(Applied, allow_none=True)
    undone = traitlets.Instance(Undone, allow_none=True)
    backup = traitlets.Unicode()
    typed = traitlets.Unicode()
    typed_to_undo = traitlets.Unicode()
    running = traitlets.Unicode()
    progress = traitlets.Float(None, allow_none=True)

    template = "apply_pane.html.j2"

    def __init__(self, store: ContentStore | None) -> None:
        self.store = store
        self._thread: threading.Thread | None = None
        self._telling = threading.Lock()
        self._told_at = 0.0
        self._stop = threading.Event()
        self._done_plan: Plan | None = None  # the plan whose journal can be continued
        self._backed_up = ""
        super().__init__()
        self.observe(self._start_again, ["plan", "outdated"])
        shown = ["tried", "done", "undone", "typed", "typed_to_undo", "backup", "running", "progress"]
        self.observe(lambda _: self.show(), shown)
        self.show()

    @property
    def name(self) -> str:
        """The text to type before applying: the repository if there is only one, else the store's location."""
        return "" if self.plan is None else self._name(self.plan.steps)

    @property
    def name_to_undo(self) -> str:
        """The text to type before undoing."""
        return "" if self.done is None else self._name(self.done.table)

    @property
    def applied(self) -> Applied | None:
        """The result of the dry run, else of the last run."""
        return self.done if self.tried is None else self.tried

    @property
    def may_try(self) -> bool:
        """Whether there is a plan with steps, up to date with the rules, and nothing is running."""
        is_something = self.plan is not None and len(self.plan.steps) > 0
        return self.store is not None and is_something and not self.outdated and not self.running

    @property
    def may_apply(self) -> bool:
        """Whether the dry run of this plan succeeded, and its name was typed."""
        return self.may_try and self.tried is not None and self.tried.ok and self.typed == self.name

    @property
    def may_undo(self) -> bool:
        """Whether there is something to undo, and its name was typed."""
        is_something = self.done is not None and self.undone is None
        return is_something and not self.running and self.typed_to_undo == self.name_to_undo

    def wait(self) -> None:
        """Wait until the running action has ended."""
        if self._thread is not None:
            self._thread.join()

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Dry run, confirmation, applying, stopping and undoing."""
        return {
            "try": self._try,
            "type": self._type,
            "type_to_undo": self._type_to_undo,
            "backup": self._back_up_to,
            "apply": self._apply,
            "undo": self._undo,
            "stop": self._stop_it,
        }

    def values(self) -> dict[str, Any]:
        """The variables of the template: the plan's state, the results, and the progress."""
        tried, done, undone = self.tried, self.done, self.undone
        return {
            "store": "" if self.store is None else text.plain(self.store.location, 200),
            "can": self.plan is not None and len(self.plan.steps) > 0,
            "outdated": self.outdated,
            "may_try": self.may_try,
            "may_apply": self.may_apply,
            "may_undo": self.may_undo,
            "may_type": tried is not None and tried.ok and not self.running,
            "name": text.plain(self.name, 300),
            "name_to_undo": text.plain(self.name_to_undo, 300),
            "typed": self.typed,
            "typed_to_undo": self.typed_to_undo,
            "backup": self.backup,
            "running": self.running,
            "may_stop": self.running not in ("", _UNDOING),
            "progress": self.progress,
            "tried": None if tried is None else _plain(tried.facts()),
            "tried_notes": [] if tried is None else _told(tried.table, [SKIPPED, FAILED]),
            "done": None if done is None else _plain({k: v for k, v in done.facts().items() if k != "journal"}),
            "journal": "" if done is None else text.plain(done.journal),
            "done_notes": [] if done is None else [*done.notes(), *_told(done.table, [SKIPPED, FAILED])],
            "undone": None if undone is None else _plain(undone.facts()),
            "undone_notes": [] if undone is None else _told(undone.table, [LEFT_ALONE, IMPOSSIBLE]),
        }

    def _name(self, steps: pd.DataFrame) -> str:
        repositories = steps["repository"].unique()
        return str(repositories[0]) if len(repositories) == 1 else "" if self.store is None else self.store.location

    def _start_again(self, _: object) -> None:
        self.tried, self.typed = None, ""
        self.show()

    def _type(self, value: str) -> None:
        self.typed = value.strip()

    def _type_to_undo(self, value: str) -> None:
        self.typed_to_undo = value.strip()

    def _back_up_to(self, value: str) -> None:
        self.backup = value.strip()

    def _try(self, _: str) -> None:
        if not self.may_try or self.plan is None or self.store is None:
            raise InvalidInput("the plan has no steps, or no store was given: rs.remediate(snap, store)")
        plan, store = self.plan, self.store
        self.tried, self.typed = None, ""

        def work() -> None:
            tried = plan.apply(store, progress=False, watch=self._watch, stop=self._stop)
            self.tried = None if self._stop.is_set() else tried  # a stopped dry run does not allow applying

        self._start("Looking up every manifest again", work)

    def _apply(self, _: str) -> None:
        if not self.may_apply or self.plan is None or self.store is None:
            raise InvalidInput("this plan had no dry run, or its name was not typed")
        plan, store, backup = self.plan, self.store, self.backup
        goes_on = self.done is not None and self.undone is None and self._done_plan is plan
        journal = self.done.journal if self.done and goes_on and self.done.journal else new_journal(plan.identity)
        self.typed = ""

        def work() -> None:
            try:
                done = plan.apply(
                    store,
                    dry_run=False,
                    backup=backup or None,
                    journal=journal,
                    progress=False,
                    watch=self._watch,
                    stop=self._stop,
                )
            except Exception as error:
                raise _with_journal(error, journal) from error
            self._done_plan, self._backed_up = plan, backup
            self.tried, self.undone, self.typed_to_undo = None, None, ""
            self.done = done

        self._start("Applying", work)

    def _undo(self, _: str) -> None:
        if not self.may_undo or self.done is None or self.store is None:
            raise InvalidInput("there is nothing to undo, or the name was not typed")
        done, store, backup = self.done, self.store, self._backed_up
        self.typed_to_undo, self._done_plan = "", None

        def work() -> None:
            self.undone = done.undo(store, backup=backup or None, dry_run=False, progress=False)

        self._start(_UNDOING, work)

    def _stop_it(self, _: str) -> None:
        self._stop.set()

    def _start(self, what: str, work: Callable[[], None]) -> None:
        """Run an action in a thread; an error is shown in the widget."""

        def run() -> None:
            trouble = ""
            try:
                work()
            except RegscopeError as error:
                trouble = in_words(error)
            except Exception as error:
                trouble = text.plain(f"{type(error).__name__}: {error}", 1200)
            self.progress, self.running = None, ""
            self.trouble = trouble

        self._stop.clear()
        self.running = what
        self._thread = threading.Thread(target=run, name="regscope-remediate", daemon=True)
        self._thread.start()

    def _watch(self, settled: int, total: int) -> None:
        """Update the progress, at most once in `_PAUSE` seconds."""
        if self._telling.acquire(blocking=False):
            try:
                if time.monotonic() - self._told_at >= _PAUSE:
                    self.progress = settled / total
                    self._told_at = time.monotonic()
            finally:
                self._telling.release()


def _with_journal(error: Exception, journal: Path) -> RegscopeError:
    """The error, with a next step for undoing the steps that were done before it."""
    said = error.message if isinstance(error, RegscopeError) else f"{type(error).__name__}: {error}"
    next_step = error.next_step if isinstance(error, RegscopeError) else ""
    try:
        begun = len(read_journal(journal).entries)
    except NotAStore:
        begun = 0
    if begun:
        how = f"rs.undo({str(journal)!r}, store, dry_run=False)"
        next_step = f"{text.count(begun, 'step')} had begun before the error; undo them with {how}. {next_step}"
    return RegscopeError(said, next_step=next_step)


def _plain(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: text.plain(said) for name, said in facts.items()}


def _told(table: pd.DataFrame, outcomes: list[str]) -> list[str]:
    """The steps with one of these outcomes, and the reasons; at most `_TOLD`."""
    rows = table[table["outcome"].isin(outcomes)]
    lines = [text.plain(line, 400) for line in outcome_lines(rows.head(_TOLD))]
    return [*lines, *([f"and {len(rows) - _TOLD:,} more"] if len(rows) > _TOLD else [])]
