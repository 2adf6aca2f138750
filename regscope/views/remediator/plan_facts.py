"""The facts of a plan as a widget."""

from __future__ import annotations

from typing import Any

import traitlets

from regscope import text
from regscope.remediation.plan import Plan
from regscope.views.explorer.pane import Pane


class PlanFacts(Pane):
    """The facts and notes of a plan.

    Attributes:
        plan: the plan; None before there is one.
        outdated: whether the rules were changed and are invalid, so that the plan is not theirs.
    """

    plan = traitlets.Instance(Plan, allow_none=True)
    outdated = traitlets.Bool()

    template = "plan_facts.html.j2"

    def __init__(self) -> None:
        super().__init__()
        self.observe(lambda _: self.show(), ["plan", "outdated"])
        self.show()

    def values(self) -> dict[str, Any]:
        """The plan's facts, such as the freed bytes, and its notes."""
        if self.plan is None:
            return {"facts": {}, "notes": [], "outdated": self.outdated}
        facts = {name: text.plain(said, 300) for name, said in self.plan.facts().items() if name != "policy"}
        notes = [text.plain(note, 600) for note in self.plan.notes()[1:]]
        return {"facts": facts, "notes": notes, "outdated": self.outdated}
