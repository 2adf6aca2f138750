"""A widget with the shared and exclusive bytes of repositories, tags or images."""

from __future__ import annotations

import pandas as pd
from ipywidgets import VBox

from regscope.views.explorer.listing import Listing
from regscope.views.explorer.snapshot_views import SnapshotViews
from regscope.views.explorer.tabs import Tabs
from regscope.views.table import Column, digest, size, times, two_parts, words

LEVELS = {"repository": "Repositories", "tag": "Tags", "image": "Images"}
_NAMES = {
    "repository": [Column("Repository", "repository", words)],
    "tag": [Column("Repository", "repository", words), Column("Tag", "tag", words)],
    "image": [Column("Image", "digest", digest)],
}
_ABOUT = {
    "repository": "Exclusive bytes are in no other repository: deleting the repository frees them. Grey is shared.",
    "tag": "Exclusive bytes are needed by no other tag: deleting the tag frees them. Grey is shared.",
    "image": "Exclusive bytes are in no other image, whether tagged or not.",
}


class SharingPane(Listing):
    """A listing of `regscope.sharing` on one level.

    Args:
        views: the views of the snapshot.
        level: what is listed: repository, tag or image.
    """

    def __init__(self, views: SnapshotViews, level: str) -> None:
        rows = views.sharing[views.sharing["level"] == level]
        self._longest = int(rows["unique"].max()) if len(rows) else 0
        columns = [
            *_NAMES[level],
            Column("Own and shared", "bar", two_parts),
            Column("Exclusive", "exclusive", size),
            Column("Shared", "shared", size),
            Column("Total", "unique", size),
            Column("Deduplication", "dedup_ratio", times),
        ]
        super().__init__(
            rows,
            columns,
            f"rs.sharing(snap)[lambda t: t['level'] == {level!r}]",
            title=LEVELS[level],
            about=_ABOUT[level],
            searched=[column.source for column in _NAMES[level]],
        )

    def dressed(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Adds a bar of exclusive and shared bytes, relative to the largest."""
        pairs = zip(shown["exclusive"], shown["shared"], strict=True)
        bars = [(int(own), int(shared), self._longest) for own, shared in pairs]
        return shown.assign(bar=pd.Series(bars, shown.index, dtype=object))


class Sharing(VBox):
    """Tabs for the levels, and the sharing on the chosen level.

    Attributes:
        tabs: the levels.
        listing: the listing of the chosen level.
    """

    def __init__(self, views: SnapshotViews) -> None:
        self.views = views
        self.tabs = Tabs(LEVELS, "Levels")
        super().__init__()
        self.tabs.observe(lambda _: self._open(), "chosen")
        self._open()

    def refresh(self) -> None:
        """Do nothing: the files that are read do not change these figures."""

    def _open(self) -> None:
        self.listing = SharingPane(self.views, self.tabs.chosen)
        self.children = (self.tabs, self.listing)
