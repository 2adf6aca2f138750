"""A row of tabs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from regscope.views.explorer.pane import Pane


class Tabs(Pane):
    """A row of tabs, with a heading above and a line below; both may be empty.

    Attributes:
        chosen: the key of the open tab.
        heading: the text above the tabs.
        about: the text below the tabs.
    """

    chosen = traitlets.Unicode()
    heading = traitlets.Unicode()
    about = traitlets.Unicode()

    template = "tabs.html.j2"

    def __init__(self, tabs: Mapping[str, str], label: str, **traits: Any) -> None:
        """Show `tabs`, a name for each key; `label` is their accessible name, for screen readers."""
        self.tabs, self.label = dict(tabs), label
        super().__init__(chosen=next(iter(self.tabs)), **traits)
        self.observe(lambda _: self.show(), ["chosen", "heading", "about"])
        self.show()

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Opening a tab."""
        return {"tab": self._choose}

    def values(self) -> dict[str, Any]:
        """The tabs, and the texts above and below."""
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
