"""A widget with the files of an image: by layer, wasted files, and files stored more than once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import traitlets

from regscope import text
from regscope.errors import InvalidInput
from regscope.schema import make_table
from regscope.snapshot_argument import takes_snapshot
from regscope.spec.instructions import normalised
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_store
from regscope.tables import Snapshot
from regscope.views.explorer.open_tree import FEW, chain_below, open_tree
from regscope.views.explorer.pane import Pane
from regscope.views.explorer.snapshot_views import SnapshotViews
from regscope.views.image_files import tree_of

SHOWN = {
    "all": "all files, wasted ones struck through",
    "final": "the final image",
    "wasted": "wasted files",
    "copies": "files stored more than once",
}
_NO_ENTRIES = pd.DataFrame(
    {
        column: pd.Series(dtype=dtype)
        for column, dtype in {"path": "str", "kind": "str", "size": "int64", "layer": "int64", "cause": "str"}.items()
    }
)


class FileBrowser(Pane):
    """A tree of the files of one image.

    Attributes:
        image: named as in `regscope.image_picker`; empty for none. It can be set.
        layer: the position of the layer whose files are shown; None for all layers.
        shown: the files shown: all, final, wasted or copies.
        picked: the path of the directory or file that was picked last; the root's is empty.
        unread: why there are no files to show; empty if there are files.
    """

    image = traitlets.Unicode()
    layer = traitlets.Int(None, allow_none=True)
    shown = traitlets.Enum(list(SHOWN), "all")
    picked = traitlets.Unicode()

    template = "file_browser.html.j2"

    def __init__(self, views: SnapshotViews, image: str = "", store: ContentStore | None = None) -> None:
        self.views, self.store = views, store
        self._forget()
        super().__init__()
        self.observe(self._begin, "image")
        self.observe(self._plant, ["layer", "shown"])
        self.observe(lambda _: self.show(), "picked")
        self.image = image
        self.show()

    @property
    def table(self) -> pd.DataFrame:
        """The files of `regscope.final_files` or `regscope.wasted_files` of the layer, below the picked directory."""
        if not self.image or self.unread:
            return make_table("files", ())
        digest, is_wasted = self.views.digest_of(self.image), self.shown == "wasted"
        found = self.views.wasted_files(digest) if is_wasted else self.views.final_files(digest)
        if self.layer is not None:
            found = found[found["brought_layer" if is_wasted else "layer"] == self.layer]
        if self.shown == "copies":
            found = found[found["sha256"].isin(self.views.copies.index)]
        return found[(found["path"] + "/").str.startswith(f"{self.picked}/")] if self.picked else found

    @property
    def selection(self) -> pd.DataFrame:
        """The same as `table`."""
        return self.table

    @property
    def code(self) -> str:
        """The expression that returns `table`."""
        is_wasted = self.shown == "wasted"
        found = f"rs.{'wasted_files' if is_wasted else 'final_files'}(snap, {self.image!r})"
        if self.layer is not None:
            found += f"[lambda t: t['{'brought_layer' if is_wasted else 'layer'}'] == {self.layer}]"
        if self.shown == "copies":
            found += "[lambda t: t['sha256'].isin(rs.file_duplicates(snap)['sha256'])]"
        return found + (f"[lambda t: (t['path'] + '/').str.startswith({self.picked + '/'!r})]" if self.picked else "")

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Opening a directory, picking a file, choosing the files shown, and reading the files."""
        return {
            "folder": self._toggle,
            "file": self._pick,
            "more": self._show_more,
            "layer": self._choose_layer,
            "shown": self._choose_shown,
            "read": self._read,
        }

    def values(self) -> dict[str, Any]:
        """The open part of the tree, for the template."""
        return {
            "image": text.plain(self.image, 200),
            "unread": self.unread,
            "can_read": self.store is not None,
            "read_code": f"snap = rs.scan_files(snap, store, images={self.image!r})",
            "page_code": f"rs.file_tree(snap, {self.image!r}).save('files.html')",
            "layers": self._layers(),
            "layer": self.layer,
            "choices": SHOWN,
            "shown": self.shown,
            "tree": open_tree(self._tree, self._opened, self._more, self.views.copies, self.picked),
            "code": self.code,
        }

    def refresh(self) -> None:
        """Show files that another widget has read since."""
        if self.unread:
            self._begin(None)

    def _layers(self) -> list[tuple[int, str]]:
        if not self.image:
            return []
        rows = self.views.layers_of(self.views.digest_of(self.image))
        lines = rows["created_by"].astype(object)
        return [
            (int(position), text.plain(normalised(line), 80) if isinstance(line, str) else "")
            for position, line in zip(rows["position"], lines, strict=True)
        ]

    def _forget(self) -> None:
        self._tree = tree_of(_NO_ENTRIES)
        self._opened, self._more = {""}, dict[str, int]()
        self.unread = ""

    def _begin(self, _: object) -> None:
        self._forget()
        with self.hold_trait_notifications():
            self.layer, self.picked = None, ""
        self._plant(None)

    def _plant(self, _: object) -> None:
        """Build the tree of the files to be shown."""
        if self.image:
            try:
                self._tree = tree_of(self._entries())
            except InvalidInput as error:
                self.unread = error.message
        self.show()

    def _entries(self) -> pd.DataFrame:
        entries = self.views.entries(self.views.digest_of(self.image))
        if self.layer is not None:
            entries = entries[entries["layer"] == self.layer]
        if self.shown == "copies":
            return entries[entries["sha256"].isin(self.views.copies.index)]
        if self.shown == "all":
            return entries
        return entries[entries["cause"].isna() == (self.shown == "final")]

    def _toggle(self, number: str) -> None:
        if int(number) < len(self._tree.paths):  # the tree may have been replaced since the click
            path = self._tree.paths[int(number)]
            if path in self._opened:
                self._opened.remove(path)
            else:
                self._opened.update(self._tree.paths[folder] for folder in chain_below(self._tree, int(number)))
            self.picked = path
            self.show()

    def _pick(self, row: str) -> None:
        if int(row) < len(self._tree.entries):
            self.picked = self._tree.entries["path"].iloc[int(row)]

    def _show_more(self, number: str) -> None:
        if int(number) < len(self._tree.paths):
            path = self._tree.paths[int(number)]
            self._more[path] = self._more.get(path, FEW) + FEW
            self.show()

    def _choose_layer(self, value: str) -> None:
        self.layer = int(value) if value.isdecimal() else None

    def _choose_shown(self, value: str) -> None:
        self.shown = value

    def _read(self, _: str) -> None:
        """Read the files of this image; those of images read before are read again from the cache."""
        if self.store is None:
            return
        self.reading = 0.0
        try:
            self.views.read_files(self.store, self.views.digest_of(self.image), watch=self.watch)
        finally:
            self.reading = None
        self._begin(None)


@takes_snapshot
def file_browser(snap: Snapshot, image: str = "", store: ContentStore | str | None = None) -> FileBrowser:
    """A widget with the files of an image as a tree; wasted files and files stored more than once are marked.

    For a page of HTML that can be saved see `regscope.file_tree`.

    Args:
        snap: the snapshot, with the files of the image's layers (see `regscope.scan_files`).
        image: named as in `regscope.image_picker`; it can be set later.
        store: the scanned store, or its location; needed for reading the files in the widget.

    Returns:
        A widget. Its `table` is a DataFrame of the files shown; `code` is an expression for the same table.
    """
    return FileBrowser(SnapshotViews(snap), image, None if store is None else as_store(store))
