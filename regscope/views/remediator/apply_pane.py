"""Doing what is planned: a dry run, a guard, the journal, and the way back."""

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

_PAUSE = 0.1  # seconds between two words on how far it is
_TOLD = 8
_UNDOING = "Undoing"


class ApplyPane(Pane):
    """Carries out a plan, once it was tried and its name was typed, and takes it back.

    What talks to the store does so in a thread: the other widgets and cells go on meanwhile.

    Attributes:
        plan: what is to be done; another one has to be tried anew.
        outdated: whether the rules say something else by now, which cannot be understood: nothing can be done then.
        tried: what would be done; None where this very plan was not tried.
        done: what was done last, by this plan or one before; None where nothing was.
        undone: what was brought back of it; None where nothing was.
        backup: a layout that all is copied to first, `oci:FOLDER`; empty for none.
        typed, typed_to_undo: what was typed to confirm.
        running: what is being done, in words; empty while nothing is.
        progress: how far it is, from 0 to 1; None while that is not known.
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
        self._done_plan: Plan | None = None  # whose journal can be gone on with
        self._backed_up = ""
        super().__init__()
        self.observe(self._start_again, ["plan", "outdated"])
        shown = ["tried", "done", "undone", "typed", "typed_to_undo", "backup", "running", "progress"]
        self.observe(lambda _: self.show(), shown)
        self.show()

    @property
    def name(self) -> str:
        """What is to be typed to apply: the repository where there is but one, else the store."""
        return "" if self.plan is None else self._name(self.plan.steps)

    @property
    def name_to_undo(self) -> str:
        """What is to be typed to undo."""
        return "" if self.done is None else self._name(self.done.table)

    @property
    def applied(self) -> Applied | None:
        """What would be done, or what was done last."""
        return self.done if self.tried is None else self.tried

    @property
    def may_try(self) -> bool:
        """Whether there is a plan that says what the rules say, and something to do."""
        is_something = self.plan is not None and len(self.plan.steps) > 0
        return self.store is not None and is_something and not self.outdated and not self.running

    @property
    def may_apply(self) -> bool:
        """Whether this very plan was tried without a surprise, and its name was typed."""
        return self.may_try and self.tried is not None and self.tried.ok and self.typed == self.name

    @property
    def may_undo(self) -> bool:
        """Whether there is something to undo, and its name was typed."""
        is_something = self.done is not None and self.undone is None
        return is_something and not self.running and self.typed_to_undo == self.name_to_undo

    def wait(self) -> None:
        """Return when what is being done is done."""
        if self._thread is not None:
            self._thread.join()

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Trying, confirming, applying, stopping and undoing."""
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
        """How far it is."""
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
            raise InvalidInput("there is nothing to try, or no store was given: rs.remediate(snap, store)")
        plan, store = self.plan, self.store
        self.tried, self.typed = None, ""

        def work() -> None:
            tried = plan.apply(store, progress=False, watch=self._watch, stop=self._stop)
            self.tried = None if self._stop.is_set() else tried  # half a dry run arms nothing

        self._start("Looking everything up again", work)

    def _apply(self, _: str) -> None:
        if not self.may_apply or self.plan is None or self.store is None:
            raise InvalidInput("this plan was not tried, or its name was not typed")
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
            raise InvalidInput("nothing was changed, or the name was not typed")
        done, store, backup = self.done, self.store, self._backed_up
        self.typed_to_undo, self._done_plan = "", None

        def work() -> None:
            self.undone = done.undo(store, backup=backup or None, dry_run=False, progress=False)

        self._start(_UNDOING, work)

    def _stop_it(self, _: str) -> None:
        self._stop.set()

    def _start(self, what: str, work: Callable[[], None]) -> None:
        """Do something in a thread; what goes wrong is told in words."""

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
        """Show how far it is, now and then."""
        if self._telling.acquire(blocking=False):
            try:
                if time.monotonic() - self._told_at >= _PAUSE:
                    self.progress = settled / total
                    self._told_at = time.monotonic()
            finally:
                self._telling.release()


def _with_journal(error: Exception, journal: Path) -> RegscopeError:
    """The error, with a word on where it is written what was done before it."""
    said = error.message if isinstance(error, RegscopeError) else f"{type(error).__name__}: {error}"
    next_step = error.next_step if isinstance(error, RegscopeError) else ""
    try:
        begun = len(read_journal(journal).entries)
    except NotAStore:
        begun = 0
    if begun:
        how = f"rs.undo({str(journal)!r}, store, dry_run=False)"
        next_step = f"{text.count(begun, 'step')} had begun before that; {how} brings them back. {next_step}"
    return RegscopeError(said, next_step=next_step)


def _plain(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: text.plain(said) for name, said in facts.items()}


def _told(table: pd.DataFrame, outcomes: list[str]) -> list[str]:
    """What did not go as planned, and why."""
    rows = table[table["outcome"].isin(outcomes)]
    lines = [text.plain(line, 400) for line in outcome_lines(rows.head(_TOLD))]
    return [*lines, *([f"and {len(rows) - _TOLD:,} more"] if len(rows) > _TOLD else [])]
