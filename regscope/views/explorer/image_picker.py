"""A widget for picking an image by its tag."""

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
_ABOUT = "All tags; a tag for several platforms has a row for each. Sizes are those of stored (compressed) layers."


class ImagePicker(Listing):
    """A listing of `regscope.image_sizes`, for picking one image.

    Attributes:
        image: the name of the picked image, for other functions: `repository:tag`, or `repository@digest` if the tag is
            for several platforms; empty if none is picked. It can be set.
        tags: the rows that match the search, as a DataFrame: the same as `table`.
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
        """The rows that match the search."""
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
    """A widget for searching and sorting the images of a registry, and for picking one.

    Args:
        snap: the snapshot.
        image: the image that is picked at first.
        search: the text that is searched for at first.
        sort, descending: the column by which the table is sorted at first, and the direction.
        rows: the number of rows of a page.

    Returns:
        A widget. Its trait `image` is the picked image's name, `selection` and `tags` are DataFrames; `image` can be
        linked to that of `regscope.layer_bars` with `traitlets.link`.
    """
    views = SnapshotViews(snap)
    return ImagePicker(views, image=image, search=search, sort=sort, descending=descending, rows=rows)
