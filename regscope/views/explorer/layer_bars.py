"""A widget with the layers of an image as bars, each with its build instruction."""

from __future__ import annotations

import pandas as pd
import traitlets

from regscope import text
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot
from regscope.views.explorer.listing import Listing
from regscope.views.explorer.snapshot_views import SnapshotViews
from regscope.views.file_map import COLOURS
from regscope.views.table import Cell, Column, code, count, digest, size, two_parts

_ROWS = 130  # more layers than Docker allows, so that there is one page


def layer_mark(position: int) -> Cell:
    """A layer's position, in the layer's colour."""
    return Cell(str(position), value=str(position), style="mark", mark=f"c{position % COLOURS}")


class LayerBars(Listing):
    """The layers of one image, lowest first.

    Attributes:
        image: named as in `regscope.image_picker`; empty for none. It can be set.
        layer: the digest of the picked layer; empty if none is picked.
    """

    image = traitlets.Unicode()
    layer = traitlets.Unicode()

    def __init__(self, views: SnapshotViews, image: str = "") -> None:
        self.views = views
        columns = [
            Column("Layer", "position", layer_mark),
            Column("Bytes", "bar", two_parts),
            Column("Size", "size", size),
            Column("Build line", "created_by", code),
            Column("Images", "images", count),
            Column("Digest", "blob_digest", digest),
        ]
        frame, base = self._layers(image)
        super().__init__(
            frame, columns, base, title="Layers", about=self._about(image), nothing="Pick an image first.", rows=_ROWS
        )
        self.image = image
        self.observe(self._change, "image")
        self.observe(self._name, "picked")

    def _change(self, _: object) -> None:
        self.fill(*self._layers(self.image), about=self._about(self.image))

    def _name(self, _: object) -> None:
        self.layer = "" if self.picked is None else str(self.frame.loc[self.picked, "blob_digest"])

    def dressed(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Adds a bar relative to the largest layer, and the number of images with each layer."""
        used = self.views.layers["images"].reindex(shown["blob_digest"])
        images = used.fillna(0).astype("int64").to_list()
        sizes = shown["size"].fillna(0).astype("int64").to_list()
        longest = max(sizes, default=0)
        bars = [
            (0, size, longest) if many > 1 else (size, 0, longest) for size, many in zip(sizes, images, strict=True)
        ]
        return shown.assign(bar=pd.Series(bars, shown.index, dtype=object), images=images)

    def _layers(self, image: str) -> tuple[pd.DataFrame, str]:
        """The rows of `layers`, and the expression that returns them."""
        chosen = self.views.digest_of(image) if image else ""
        return self.views.layers_of(chosen), f"snap.layers[snap.layers['digest'] == {chosen!r}]"

    def _about(self, image: str) -> str:
        return f"Of {text.plain(image, 200)}, lowest first. Grey layers are shared with other images." if image else ""


@takes_snapshot
def layer_bars(snap: Snapshot, image: str = "") -> LayerBars:
    """A widget with the layers of an image as bars, each with its build instruction.

    Args:
        snap: the snapshot.
        image: named as in `regscope.image_picker`; it can be set later.

    Returns:
        A widget. Its trait `layer` is the digest of the picked layer, `selection` its row.
    """
    return LayerBars(SnapshotViews(snap), image)
