"""The facts of a snapshot as a widget."""

from __future__ import annotations

from typing import Any

from regscope import text
from regscope.views.explorer.pane import Pane
from regscope.views.explorer.snapshot_views import SnapshotViews


class Facts(Pane):
    """The facts and the notes of a snapshot."""

    template = "facts.html.j2"

    def __init__(self, views: SnapshotViews) -> None:
        self.views = views
        super().__init__()
        self.show()

    def values(self) -> dict[str, Any]:
        """The snapshot's facts and notes, for the template."""
        snap = self.views.snap
        return {"facts": snap.facts(), "notes": [text.plain(note, 600) for note in snap.notes()]}
