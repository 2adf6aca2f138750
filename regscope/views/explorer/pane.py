"""A pane: a widget whose HTML Python renders, and whose clicks and input Python handles.

All widgets share one script in the browser (pane.js), so that every view is a function from state to HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from regscope import text
from regscope.errors import RegscopeError
from regscope.views.page import assets, fragment

_HERE = Path(__file__).parent


class Pane(anywidget.AnyWidget):
    """A widget. A subclass has a template for its HTML, and an action for each `data-do` in it.

    Attributes:
        html: the HTML shown; all text from a registry is escaped in it.
        trouble: the error message of the last action; empty if it succeeded.
        reading: the share of layer bytes that is read, from 0 to 1; None while no layers are read.
    """

    _esm = _HERE / "pane.js"
    _css = str(assets("interface_colours.css", "layer_colours.css")) + (_HERE / "pane.css").read_text(encoding="utf-8")
    html = traitlets.Unicode().tag(sync=True)
    trouble = traitlets.Unicode()
    reading = traitlets.Float(None, allow_none=True)

    template = ""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(self._hear)
        self.observe(lambda _: self.show(), ["trouble", "reading"])

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """The actions of the widget, by their names in `data-do`."""
        return {}

    def values(self) -> dict[str, Any]:
        """The variables of the template."""
        return {}

    def show(self) -> None:
        """Render the HTML again."""
        self.html = fragment(self.template, trouble=self.trouble, reading=self.reading, **self.values())

    def refresh(self) -> None:
        """Show changes that were made while the widget was hidden."""
        self.show()

    def watch(self, done: int, total: int) -> None:
        """Show the progress of reading layers, in bytes."""
        self.reading = done / total if total else 1.0

    def do(self, action: str, value: str = "") -> None:
        """Carry out the action of a click or a key."""
        try:
            self.trouble = ""
            self.actions()[action](value)
        except RegscopeError as error:
            self.trouble = in_words(error)

    def _hear(self, _: object, content: Mapping[str, Any], __: object) -> None:
        try:
            self.do(str(content["do"]), str(content["value"]))
        finally:
            self.send({"done": True})


def in_words(error: RegscopeError) -> str:
    """An error's message and next step, in one paragraph."""
    said = error.message if error.message.endswith((".", ":", "?", "!")) or not error.next_step else f"{error.message}."
    return text.plain(f"{said} {error.next_step}".strip(), 1200)
