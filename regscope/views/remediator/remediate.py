"""The policy builder: edit rules, see what would be deleted or kept and why; dry run, apply and undo."""

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
_STAYS = [*_GOES[:3], *_GOES[4:], Column("Why it is kept", "reason", words)]


class Remediator(VBox):
    """A form for rules, their plan, and the widget that applies it.

    Attributes:
        form: the rules.
        facts: the facts of the plan.
        goes_listing, spared_listing: what would be deleted, and what was matched but is kept.
        doing: dry run, confirmation, journal and undo.
    """

    def __init__(self, snap: Snapshot, store: ContentStore | None = None, policy: Retention | None = None) -> None:
        self._planner = Planner(snap)
        nothing = table_of(TABLE, ())
        self.form, self.facts, self.doing = PolicyForm(policy), PlanFacts(), ApplyPane(store)
        self.goes_listing = Listing(nothing, _GOES, "plan.goes", title="To be deleted", searched=_SEARCHED, rows=15)
        self.spared_listing = Listing(
            nothing, _STAYS, "plan.spared", title="Matched, but kept", searched=_SEARCHED, rows=15
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
        """The policy of the form, the last valid one."""
        return self.form.policy

    @property
    def plan(self) -> Plan | None:
        """The plan of that policy."""
        return self.facts.plan

    @property
    def goes(self) -> pd.DataFrame:
        """The rows of the plan's `goes` that are listed."""
        return self.goes_listing.table

    @property
    def spared(self) -> pd.DataFrame:
        """The rows of the plan's `spared` that are listed."""
        return self.spared_listing.table

    @property
    def applied(self) -> Applied | None:
        """The result of the dry run, else of the last run."""
        return self.doing.applied

    @property
    def undone(self) -> Undone | None:
        """The result of the last undo."""
        return self.doing.undone

    @property
    def code(self) -> str:
        """The expression that returns `plan`."""
        return self.form.code

    def wait(self) -> None:
        """Wait until the running action has ended, for a cell that needs its result."""
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
    """A widget for building a policy: each change shows at once what would be deleted or kept, why, and freed bytes.

    The next cell can use `ui.policy`, `ui.plan`, `ui.goes`, `ui.spared`, `ui.applied` and `ui.undone`. With a store the
    plan can be applied, after a dry run of this plan and after its name was typed. Each step is recorded in a journal,
    and can be undone.

    Args:
        snap: the snapshot, of the whole registry or of whole repositories.
        store: the registry or layout, or its location; without it plans can only be shown.
        policy: the rules at the start.

    Raises:
        ImportError: the widgets' packages are not installed.
    """
    return Remediator(snap, None if store is None else as_store(store), policy)
