"""The explorer: all views of a snapshot as tabs of one widget, with one picked image."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd
import traitlets
from ipywidgets import VBox

from regscope import text
from regscope.analysis.diff import Diff
from regscope.snapshot_argument import as_snapshot
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_store
from regscope.tables import Snapshot
from regscope.views.explorer.comparison import Comparison
from regscope.views.explorer.facts import Facts
from regscope.views.explorer.file_browser import FileBrowser
from regscope.views.explorer.holders import Holders
from regscope.views.explorer.image_picker import ImagePicker
from regscope.views.explorer.layer_bars import LayerBars
from regscope.views.explorer.listing import Listing
from regscope.views.explorer.registry_treemap import RegistryTreemap
from regscope.views.explorer.sharing_view import Sharing
from regscope.views.explorer.snapshot_views import SnapshotViews
from regscope.views.explorer.tabs import Tabs
from regscope.views.sections import PROBLEMS


class View(NamedTuple):
    """A tab: its name, the widget that has its table, and all of its widgets from top to bottom."""

    name: str
    main: str
    shown: tuple[str, ...]


VIEWS = {
    "registry": View("Registry", "treemap", ("facts", "treemap", "holders")),
    "images": View("Images", "picker", ("picker",)),
    "layers": View("Layers", "bars", ("bars", "holders")),
    "files": View("Files", "browser", ("browser",)),
    "sharing": View("Sharing", "sharing", ("sharing",)),
    "compare": View("Compare", "comparison", ("comparison",)),
    "problems": View("Problems", "problems", ("problems",)),
}


class Explorer(VBox):
    """All views of a snapshot. Each is created when it is first opened.

    Attributes:
        view: the open view: registry, images, layers, files, sharing, compare or problems. It can be set.
        image: the picked image, `repository:tag` or `repository@digest`; empty for none. It can be set.
        layer: the digest of the picked layer; empty for none.
    """

    view = traitlets.Enum(list(VIEWS), "registry")
    image = traitlets.Unicode()
    layer = traitlets.Unicode()

    def __init__(self, snap: Snapshot, store: ContentStore | str | None = None) -> None:
        self._views, self._store = SnapshotViews(as_snapshot(snap)), None if store is None else as_store(store)
        self._views.prepare()
        self._tabs = Tabs(
            {key: view.name for key, view in VIEWS.items()}, "Views", heading=text.plain(snap.location, 200)
        )
        super().__init__()
        traitlets.link((self._tabs, "chosen"), (self, "view"))
        self.observe(self._open, "view")
        self.observe(lambda _: self._show_image(), "image")
        self._open(None)

    # Results for the next cell.

    @property
    def snap(self) -> Snapshot:
        """The snapshot, with the files that were read in the explorer."""
        return self._views.snap

    @property
    def tags(self) -> pd.DataFrame:
        """The images that match the search."""
        return self.picker.tags

    @property
    def selection(self) -> pd.DataFrame:
        """The picked rows of the open view."""
        return pd.DataFrame() if self._main is None else self._main.selection

    @property
    def table(self) -> pd.DataFrame:
        """The table of the open view."""
        return pd.DataFrame() if self._main is None else self._main.table

    @property
    def code(self) -> str:
        """The expression that returns `table`."""
        return "" if self._main is None else self._main.code

    @property
    def layers(self) -> pd.DataFrame:
        """The layers of the picked image, as a DataFrame."""
        self.bars.image = self.image
        return self.bars.table

    @property
    def files(self) -> pd.DataFrame:
        """The listed files of the picked image."""
        self.browser.image = self.image
        return self.browser.table

    @property
    def diff(self) -> Diff | None:
        """The differences between the two compared images."""
        return self.comparison.diff

    # The views.

    @cached_property
    def picker(self) -> ImagePicker:
        """The listing of images by tag."""
        made = ImagePicker(self._views, sort="size", descending=True)
        traitlets.link((self, "image"), (made, "image"))
        return made

    @cached_property
    def facts(self) -> Facts:
        """The facts of the snapshot."""
        return Facts(self._views)

    @cached_property
    def treemap(self) -> RegistryTreemap:
        """The treemap of the stored layers."""
        made = RegistryTreemap(self._views)
        traitlets.dlink((made, "layer"), (self, "layer"))
        return made

    @cached_property
    def bars(self) -> LayerBars:
        """The layers of the picked image."""
        made = LayerBars(self._views)
        traitlets.dlink((made, "layer"), (self, "layer"))
        return made

    @cached_property
    def holders(self) -> Holders:
        """The images that have the picked layer."""
        made = Holders(self._views)
        traitlets.dlink((self, "layer"), (made, "layer"))
        return made

    @cached_property
    def browser(self) -> FileBrowser:
        """The files of the picked image."""
        return FileBrowser(self._views, store=self._store)

    @cached_property
    def sharing(self) -> Sharing:
        """Shared and exclusive bytes."""
        return Sharing(self._views)

    @cached_property
    def comparison(self) -> Comparison:
        """The comparison of two images."""
        return Comparison(self._views, self._store)

    @cached_property
    def problems(self) -> Listing:
        """The listing of what could not be read."""
        return Listing(
            self.snap.problems,
            PROBLEMS,
            "snap.problems",
            title="Problems",
            about="Content that could not be read, and why. It is not counted in the other tables.",
            nothing="Everything could be read.",
            searched=["repository", "reference", "what", "error"],
        )

    @property
    def _main(self) -> Listing | RegistryTreemap | FileBrowser | None:
        """The widget with the table of the open view; None where there is no table yet."""
        main: Any = getattr(self, VIEWS[self.view].main)
        return main.listing if isinstance(main, Sharing | Comparison) else main

    def _open(self, _: object) -> None:
        parts = [getattr(self, part) for part in VIEWS[self.view].shown]
        for part in parts:
            part.refresh()
        self.children = (self._tabs, *parts)
        self._show_image()

    def _show_image(self) -> None:
        """Show the picked image's name and, in the open view, its layers or files; closed views are updated later."""
        name = text.plain(self.image, 200)
        self._tabs.about = f"Picked: {name}. See its layers and files." if name else "Pick an image in the Images tab."
        for part in self.children:
            if isinstance(part, LayerBars | FileBrowser):
                part.image = self.image


def explore(snap: Snapshot, store: ContentStore | str | None = None) -> Explorer:
    """A widget for exploring a snapshot in JupyterLab, Notebook 7 and Voila.

    The next cell can use what was picked: `ui = rs.explore(snap)`, then `ui.image` (a name), and as DataFrames
    `ui.selection`, `ui.tags`, `ui.layers`, `ui.files` and `ui.table`. `ui.code` is an expression for the same table.

    Args:
        snap: the snapshot.
        store: the scanned store, or its location; needed for reading the files of an image in the widget.
    """
    return Explorer(snap, store)
