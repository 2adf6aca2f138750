"""A row of tabs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from regscope.views.explorer.pane import Pane


class Tabs(Pane):
    """A row of tabs, with a heading over them and a line under them; both may be empty.

    Attributes:
        chosen: the key of the tab that is open.
        heading: what is over them.
        about: what is under them.
    """

    chosen = traitlets.Unicode()
    heading = traitlets.Unicode()
    about = traitlets.Unicode()

    template = "tabs.html.j2"

    def __init__(self, tabs: Mapping[str, str], label: str, **traits: Any) -> None:
        """Show `tabs`, words by key; `label` says what they are to those who do not see them."""
        self.tabs, self.label = dict(tabs), label
        super().__init__(chosen=next(iter(self.tabs)), **traits)
        self.observe(lambda _: self.show(), ["chosen", "heading", "about"])
        self.show()

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Opening a tab."""
        return {"tab": self._choose}

    def values(self) -> dict[str, Any]:
        """The tabs and what is said over and under them."""
        return {
            "tabs": self.tabs,
            "label": self.label,
            "chosen": self.chosen,
            "heading": self.heading,
            "about": self.about,
        }

    def _choose(self, key: str) -> None:
        if key in self.tabs:
            self.chosen = key
