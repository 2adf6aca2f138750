"""Comparison of two images: both are picked, and their differences are listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets
from ipywidgets import HBox, VBox

from regscope import text
from regscope.analysis.diff import Diff
from regscope.errors import InvalidInput
from regscope.stores.content_store import ContentStore
from regscope.views.explorer.image_picker import SHORT, ImagePicker
from regscope.views.explorer.listing import Listing
from regscope.views.explorer.pane import Pane
from regscope.views.explorer.snapshot_views import SnapshotViews
from regscope.views.table import Cell, Column, code, digest, path, size, words


def _held_by(value: str) -> Cell:
    return words({"a": "only before", "b": "only after"}.get(value, value))


COLUMNS = {
    "layers": [
        Column("Digest", "blob_digest", digest),
        Column("In", "held_by", _held_by),
        Column("Size", "size", size),
        Column("Build line", "created_by", code),
    ],
    "history": [
        Column("Change", "change", words),
        Column("Build line", "instruction", code),
        Column("Size before", "size_before", size),
        Column("Size after", "size_after", size),
    ],
    "config": [Column("Key", "key", words), Column("Before", "before", words), Column("After", "after", words)],
    "packages": [
        Column("Package", "name", words),
        Column("Change", "change", words),
        Column("Before", "version_before", words),
        Column("After", "version_after", words),
        Column("Manager", "manager", words),
    ],
    "files": [
        Column("Path", "path", path),
        Column("Change", "change", words),
        Column("Before", "size_before", size),
        Column("After", "size_after", size),
        Column("Growth", "growth", size),
    ],
}
"""The tables of a `regscope.diff`, each with the columns shown."""

NAMES = {"layers": "Layers", "history": "Build steps", "config": "Config", "packages": "Packages", "files": "Files"}
SEARCHED = {"layers": "created_by", "history": "instruction", "config": "key", "packages": "name", "files": "path"}


class DiffPane(Pane):
    """The facts of a `regscope.diff`, and the choice of the table that is listed.

    Attributes:
        a: the image before, named as in `regscope.image_picker`; empty for none.
        b: the image after.
        part: the table that is listed: layers, history, config, packages or files.
        diff: the differences; None until both images are picked.
    """

    a = traitlets.Unicode()
    b = traitlets.Unicode()
    part = traitlets.Enum(list(COLUMNS), "layers")
    diff = traitlets.Instance(Diff, allow_none=True)

    template = "diff_pane.html.j2"

    def __init__(self, views: SnapshotViews, store: ContentStore | None = None) -> None:
        self.views, self.store = views, store
        super().__init__()
        self.observe(lambda _: self.compare(), ["a", "b"])
        self.observe(lambda _: self.show(), ["part", "diff"])
        self.show()

    @property
    def code(self) -> str:
        """The expression that returns the same `Diff`."""
        return f"rs.diff(snap, {self.a!r}, {self.b!r})"

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Choosing a table, and reading the files of both."""
        return {"part": self._choose, "read": self._read}

    def values(self) -> dict[str, Any]:
        """The facts and notes of the differences."""
        found = self.diff
        return {
            "names": [text.plain(name, 200) for name in (self.a, self.b)],
            "facts": {name: text.plain(said) for name, said in found.facts().items()} if found else {},
            "notes": [text.plain(note, 600) for note in found.notes()] if found else [],
            "parts": [(part, name, len(getattr(found, part))) for part, name in NAMES.items()] if found else [],
            "part": self.part,
            "can_read": bool(found and found.unread and self.store),
            "code": self.code,
        }

    def compare(self) -> None:
        """Compare the two images if both are picked."""
        self.trouble, answer = "", None
        if self.a and self.b:
            try:
                answer = self.views.diff(self.a, self.b)
            except InvalidInput as error:
                self.trouble = text.plain(error, 600)
        self.diff = answer

    def _choose(self, part: str) -> None:
        self.part = part

    def _read(self, _: str) -> None:
        if self.diff is not None and self.store is not None:
            self.reading = 0.0
            try:
                self.views.read_files(self.store, self.diff.a, self.diff.b, watch=self.watch)
            finally:
                self.reading = None
            self.compare()


class Comparison(VBox):
    """Two image pickers, and the differences between the picked images.

    Attributes:
        before: the picker of the image before.
        after: the picker of the image after.
        answer: the facts of the differences.
        listing: the listed table of the differences.
    """

    def __init__(self, views: SnapshotViews, store: ContentStore | None = None) -> None:
        self.before = ImagePicker(views, title="Before", about="", columns=SHORT, rows=8)
        self.after = ImagePicker(views, title="After", about="", columns=SHORT, rows=8)
        self.answer = DiffPane(views, store)
        self.listing: Listing | None = None
        self._listings: dict[str, Listing] = {}
        self._pickers = HBox([self.before, self.after])
        self._pickers.add_class("regscope-row")
        super().__init__([self._pickers, self.answer])
        traitlets.dlink((self.before, "image"), (self.answer, "a"))
        traitlets.dlink((self.after, "image"), (self.answer, "b"))
        self.answer.observe(self._list, ["diff", "part"])

    @property
    def diff(self) -> Diff | None:
        """The differences; None until both images are picked."""
        return self.answer.diff

    def refresh(self) -> None:
        """Compare again, as another widget may have read the files."""
        if self.diff is not None and self.diff.unread:
            self.answer.compare()

    def _list(self, _: object) -> None:
        answer = self.answer
        self.listing = None if answer.diff is None else self._listing_of(answer.diff, answer.part)
        self.children = (self._pickers, answer, *filter(None, [self.listing]))

    def _listing_of(self, found: Diff, part: str) -> Listing:
        """The listing of a table, filled with new rows; its search and order are kept."""
        frame, code = getattr(found, part), f"{self.answer.code}.{part}"
        if part not in self._listings:
            self._listings[part] = Listing(frame, COLUMNS[part], code, title=NAMES[part], searched=[SEARCHED[part]])
        listing = self._listings[part]
        was_read = not found.unread or part not in {"files", "packages"}
        listing.nothing = "There is no difference." if was_read else "The files were not read."
        listing.fill(frame, code)
        return listing
