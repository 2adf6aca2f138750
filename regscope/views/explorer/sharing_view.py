"""Who shares what with whom: repositories, tags or images, and what is theirs alone."""

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
    "repository": "Exclusive is what no other repository has: deleting just this one frees it. Shared (grey) stays.",
    "tag": "Exclusive is what no other tag keeps: deleting just this one frees it. Shared (grey) stays.",
    "image": "Exclusive is what no other image has, whatever tags lead to it.",
}


class SharingPane(Listing):
    """A listing of `regscope.sharing` on one level.

    Args:
        views: of the snapshot.
        level: repository, tag or image.
    """

    def __init__(self, views: SnapshotViews, level: str) -> None:
        rows = views.sharing[views.sharing["level"] == level]
        self._longest = int(rows["unique"].max()) if len(rows) else 0
        columns = [
            *_NAMES[level],
            Column("Own and shared", "bar", two_parts),
            Column("Exclusive", "exclusive", size),
            Column("Shared", "shared", size),
            Column("In all", "unique", size),
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
        """With a bar of what is its own and what is shared, against the largest."""
        pairs = zip(shown["exclusive"], shown["shared"], strict=True)
        bars = [(int(own), int(shared), self._longest) for own, shared in pairs]
        return shown.assign(bar=pd.Series(bars, shown.index, dtype=object))


class Sharing(VBox):
    """A level to choose, and who shares what on it.

    Attributes:
        tabs: the levels.
        listing: of the one that was chosen.
    """

    def __init__(self, views: SnapshotViews) -> None:
        self.views = views
        self.tabs = Tabs(LEVELS, "Levels")
        super().__init__()
        self.tabs.observe(lambda _: self._open(), "chosen")
        self._open()

    def refresh(self) -> None:
        """Nothing of this changes."""

    def _open(self) -> None:
        self.listing = SharingPane(self.views, self.tabs.chosen)
        self.children = (self.tabs, self.listing)
