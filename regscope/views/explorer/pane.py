"""A pane: HTML that Python makes, and what is done to it in the browser.

This is all of the widgets that there is in a browser, so that every view is a function from state to HTML.
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
    """One widget. A kind of pane says what its HTML is, and has an action for each `data-do` in it.

    Attributes:
        html: what is shown; everything that a registry says is escaped in it.
        trouble: what went wrong with the last thing that was done, in words; empty where nothing did.
        reading: how much of the layers that it waits for is read, from 0 to 1; None where it waits for none.
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
        """What can be done here, by its name in `data-do`."""
        return {}

    def values(self) -> dict[str, Any]:
        """What the template is filled with."""
        return {}

    def show(self) -> None:
        """Make the HTML anew."""
        self.html = fragment(self.template, trouble=self.trouble, reading=self.reading, **self.values())

    def refresh(self) -> None:
        """Show what may have changed while this was out of sight."""
        self.show()

    def watch(self, done: int, total: int) -> None:
        """Show how far the layers are read."""
        self.reading = done / total if total else 1.0

    def do(self, action: str, value: str = "") -> None:
        """What a click or a key does."""
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
    """What went wrong, and what to do about it, in one paragraph."""
    said = error.message if error.message.endswith((".", ":", "?", "!")) or not error.next_step else f"{error.message}."
    return text.plain(f"{said} {error.next_step}".strip(), 1200)
