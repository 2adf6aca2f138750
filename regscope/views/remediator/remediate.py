"""The policy builder: change a rule, see what goes, what stays and why; try it, do it, undo it."""

from __future__ import annotations

import pandas as pd
import traitlets
from ipywidgets import VBox

from regscope.remediation.applied import Applied
from regscope.remediation.plan import Plan
from regscope.remediation.plan_tables import TABLE
from regscope.remediation.planning import Planner
from regscope.remediation.retention import Retention
from regscope.remediation.undone import Undone
from regscope.schema import table_of
from regscope.snapshot_argument import takes_snapshot
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_store
from regscope.tables import Snapshot
from regscope.views.explorer.listing import Listing
from regscope.views.remediator.apply_pane import ApplyPane
from regscope.views.remediator.plan_facts import PlanFacts
from regscope.views.remediator.policy_form import PolicyForm
from regscope.views.table import Column, digest, size, words

_SEARCHED = ["repository", "tag", "rule"]
_GOES = [
    Column("Repository", "repository", words),
    Column("Tag", "tag", words),
    Column("Digest", "digest", digest),
    Column("Action", "action", words),
    Column("Size", "size", size),
    Column("Rule", "rule", words),
]
_STAYS = [*_GOES[:3], *_GOES[4:], Column("Why it stays", "reason", words)]


class Remediator(VBox):
    """Rules, what they would do, and doing it.

    Attributes:
        form: the rules.
        facts: the plan in words.
        goes_listing, spared_listing: what goes, and what was matched and stays.
        doing: the dry run, the guard, the journal, and the way back.
    """

    def __init__(self, snap: Snapshot, store: ContentStore | None = None, policy: Retention | None = None) -> None:
        self._planner = Planner(snap)
        nothing = table_of(TABLE, ())
        self.form, self.facts, self.doing = PolicyForm(policy), PlanFacts(), ApplyPane(store)
        self.goes_listing = Listing(nothing, _GOES, "plan.goes", title="What goes", searched=_SEARCHED, rows=15)
        self.spared_listing = Listing(
            nothing, _STAYS, "plan.spared", title="What was matched, and stays", searched=_SEARCHED, rows=15
        )
        super().__init__([self.form, self.facts, self.goes_listing, self.spared_listing, self.doing])
        self.form.observe(lambda _: self._plan(), "policy")
        for pane in (self.facts, self.doing):
            traitlets.dlink((self.form, "wrong"), (pane, "outdated"), bool)
        traitlets.dlink((self.doing, "running"), (self.form, "locked"), bool)
        if policy is not None:
            self._plan()

    @property
    def policy(self) -> Retention | None:
        """What the fields say; the last that made sense."""
        return self.form.policy

    @property
    def plan(self) -> Plan | None:
        """What that would do."""
        return self.facts.plan

    @property
    def goes(self) -> pd.DataFrame:
        """What goes, as it is shown."""
        return self.goes_listing.table

    @property
    def spared(self) -> pd.DataFrame:
        """What was matched and stays, as it is shown."""
        return self.spared_listing.table

    @property
    def applied(self) -> Applied | None:
        """What would be done, or what was done last."""
        return self.doing.applied

    @property
    def undone(self) -> Undone | None:
        """What was brought back."""
        return self.doing.undone

    @property
    def code(self) -> str:
        """The expression that gives `plan`."""
        return self.form.code

    def wait(self) -> None:
        """Return when what is being done is done: for a cell that needs its result."""
        self.doing.wait()

    def _plan(self) -> None:
        if self.form.policy is None:
            return
        made = self._planner.plan(self.form.policy)
        self.facts.plan = made
        self.goes_listing.fill(made.goes, f"{self.code}.goes")
        self.spared_listing.fill(made.spared, f"{self.code}.spared")
        self.doing.plan = made


@takes_snapshot
def remediate(
    snap: Snapshot, store: ContentStore | str | None = None, *, policy: Retention | None = None
) -> Remediator:
    """Build a policy by hand: each change shows at once what goes, what stays and why, and the bytes.

    What is built is there for the next cell: `ui.policy`, `ui.plan`, `ui.goes`, `ui.spared`, `ui.applied`, `ui.undone`.
    With a store a plan can be carried out: after a dry run of this very plan, and once its name was typed. Each step is
    in a journal, and can be undone.

    Args:
        snap: of the whole registry, or of whole repositories.
        store: the registry or layout, or its location; without it nothing can be changed.
        policy: the rules to begin with.

    Raises:
        ImportError: the widgets' packages are not there.
    """
    return Remediator(snap, None if store is None else as_store(store), policy)
