"""Doing what is planned: a dry run, a guard, the journal, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from regscope import text
from regscope.errors import InvalidInput
from regscope.remediation.applied import FAILED, LEFT, SKIPPED, Applied, told_lines
from regscope.remediation.plan import Plan
from regscope.remediation.undoing import Undone
from regscope.stores.content_store import ContentStore
from regscope.views.explorer.pane import Pane

_AT_LEAST, _PARTS = 25, 20  # steps between two words on how far it is
_TOLD = 8


class ApplyPane(Pane):
    """Carries out a plan, once it was tried and its name was typed.

    Attributes:
        plan: what is to be done; another one has to be tried anew.
        applied: what was done, or would be; None before anything was tried.
        undone: what was brought back; None where nothing was.
        backup: a layout that all is copied to first, `oci:FOLDER`; empty for none.
        typed: what was typed to confirm.
        progress: how far it is, from 0 to 1; None while nothing is done.
    """

    plan = traitlets.Instance(Plan, allow_none=True)
    applied = traitlets.Instance(Applied, allow_none=True)
    undone = traitlets.Instance(Undone, allow_none=True)
    backup = traitlets.Unicode()
    typed = traitlets.Unicode()
    progress = traitlets.Float(None, allow_none=True)

    template = "apply_pane.html.j2"

    def __init__(self, store: ContentStore | None) -> None:
        self.store = store
        super().__init__()
        self.observe(self._start_again, "plan")
        self.observe(lambda _: self.show(), ["applied", "undone", "typed", "backup", "progress"])
        self.show()

    @property
    def name(self) -> str:
        """What is to be typed: the repository where there is one, else the store."""
        repositories = [] if self.plan is None else list(dict.fromkeys(self.plan.steps["repository"]))
        return str(repositories[0]) if len(repositories) == 1 else "" if self.store is None else self.store.location

    @property
    def is_done(self) -> bool:
        """Whether something was changed."""
        return self.applied is not None and not self.applied.dry_run

    @property
    def may_apply(self) -> bool:
        """Whether this very plan was tried without a surprise, and its name was typed."""
        tried = self.applied is not None and self.applied.dry_run and self.applied.ok
        return tried and self.typed == self.name

    @property
    def may_undo(self) -> bool:
        """Whether there is something to undo, and the name was typed again."""
        return self.is_done and self.undone is None and self.typed == self.name

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Trying, confirming, applying and undoing."""
        return {
            "try": self._try,
            "type": self._type,
            "backup": self._back_up_to,
            "apply": self._apply,
            "undo": self._undo,
        }

    def values(self) -> dict[str, Any]:
        """How far it is."""
        applied, undone = self.applied, self.undone
        return {
            "can": self.store is not None and self.plan is not None and len(self.plan.steps) > 0,
            "store": "" if self.store is None else text.plain(self.store.location, 200),
            "name": text.plain(self.name, 300),
            "typed": self.typed,
            "backup": self.backup,
            "is_done": self.is_done,
            "may_apply": self.may_apply,
            "may_undo": self.may_undo,
            "progress": self.progress,
            "facts": {} if applied is None else {name: text.plain(said) for name, said in applied.facts().items()},
            "notes": [] if applied is None else _told(applied),
            "undone": {} if undone is None else {name: text.plain(said) for name, said in undone.facts().items()},
            "tried": applied is not None,
        }

    def _start_again(self, _: object) -> None:
        self.applied, self.undone, self.typed = None, None, ""
        self.show()

    def _try(self, _: str) -> None:
        plan, store = self._what()
        self.undone, self.typed = None, ""
        self.applied = plan.apply(store, progress=False)

    def _type(self, value: str) -> None:
        self.typed = value.strip()

    def _back_up_to(self, value: str) -> None:
        self.backup = value.strip()

    def _apply(self, _: str) -> None:
        if not self.may_apply:
            raise InvalidInput("this plan was not tried, or its name was not typed")
        plan, store = self._what()
        at_once = max(_AT_LEAST, len(plan.steps) // _PARTS)
        self.progress = 0.0
        try:
            done = plan.apply(store, dry_run=False, max_deletes=at_once, backup=self.backup or None, progress=False)
            while done.ok and (left := done.counts().get(LEFT, 0)):
                self.progress = 1 - left / len(plan.steps)
                done = plan.apply(store, dry_run=False, max_deletes=at_once, journal=done.journal, progress=False)
        finally:
            self.progress = None
        self.typed = ""
        self.applied = done

    def _undo(self, _: str) -> None:
        if not self.may_undo or self.applied is None or self.store is None:
            raise InvalidInput("nothing was changed, or the name was not typed")
        self.undone = self.applied.undo(self.store, backup=self.backup or None, progress=False)
        self.typed = ""

    def _what(self) -> tuple[Plan, ContentStore]:
        if self.plan is None or self.store is None:
            raise InvalidInput("there is nothing to do, or no store was given: rs.remediate(snap, store)")
        return self.plan, self.store


def _told(applied: Applied) -> list[str]:
    """What was skipped or failed, and why."""
    rows = applied.table[applied.table["outcome"].isin([SKIPPED, FAILED])].head(_TOLD)
    return [text.plain(line, 400) for line in told_lines(rows)]
