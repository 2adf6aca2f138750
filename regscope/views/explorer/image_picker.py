"""Pick an image out of a registry's tags."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import traitlets

from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot
from regscope.views.explorer.listing import ROWS, Listing
from regscope.views.explorer.snapshot_views import SnapshotViews
from regscope.views.table import Column, count, day, size, words

WHOLE = (
    Column("Repository", "repository", words),
    Column("Tag", "tag", words),
    Column("Platform", "platform", words),
    Column("Size", "size", size),
    Column("Layers", "n_layers", count),
    Column("Built", "created", day),
)
SHORT = tuple(column for column in WHOLE if column.source not in ("n_layers", "created"))
_ABOUT = "Every tag; one that is for several platforms has a row for each. Sizes are as stored (compressed)."


class ImagePicker(Listing):
    """A listing of `regscope.image_sizes`, of which one is picked.

    Attributes:
        image: the picked one, as other functions take it: `repository:tag`, or `repository@digest` where the tag is for
            several platforms; empty where none is. It can be set.
        tags: the rows that match, as a DataFrame: the same as `table`.
    """

    image = traitlets.Unicode()

    def __init__(
        self,
        views: SnapshotViews,
        *,
        title: str = "Images",
        about: str = _ABOUT,
        columns: Sequence[Column] = WHOLE,
        image: str = "",
        search: str = "",
        sort: str = "",
        descending: bool = False,
        rows: int = ROWS,
    ) -> None:
        self.views = views
        super().__init__(
            views.images,
            columns,
            "rs.image_sizes(snap)",
            title=title,
            about=about,
            searched=("repository", "tag", "platform"),
            rows=rows,
            image=image,
            search=search,
            sort=sort,
            descending=descending,
        )
        self.observe(self._name, "picked")
        self.observe(self._find, "image")
        if self.image:
            self._find(None)

    @property
    def tags(self) -> pd.DataFrame:
        """The rows that match."""
        return self.table

    def _name(self, _: object) -> None:
        self.image = "" if self.picked is None else self.views.image_name(self.picked)

    def _find(self, _: object) -> None:
        if not self.image:
            self.picked = None
        elif self.picked is None or self.views.image_name(self.picked) != self.image:
            self.picked = self.views.row_of(self.image)


@takes_snapshot
def image_picker(
    snap: Snapshot,
    *,
    image: str = "",
    search: str = "",
    sort: str = "",
    descending: bool = False,
    rows: int = ROWS,
) -> ImagePicker:
    """A widget to search and sort the images of a registry, and to pick one.

    Args:
        snap: the snapshot.
        image: the one that is picked first.
        search: what is searched for first.
        sort, descending: the column by which the table is sorted first, and in which direction.
        rows: how many a page has.

    Returns:
        A widget. Its trait `image` is what was picked, `selection` and `tags` are DataFrames; `image` can be linked
        to the one of `regscope.layer_bars` with `traitlets.link`.
    """
    views = SnapshotViews(snap)
    return ImagePicker(views, image=image, search=search, sort=sort, descending=descending, rows=rows)
