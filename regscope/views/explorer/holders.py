"""A widget with the images that have a layer."""

from __future__ import annotations

import pandas as pd
import traitlets

from regscope import text
from regscope.views.explorer.image_picker import WHOLE
from regscope.views.explorer.listing import Listing
from regscope.views.explorer.snapshot_views import SnapshotViews


class Holders(Listing):
    """The images that have one layer.

    Attributes:
        layer: the layer's digest; empty for none. It can be set.
    """

    layer = traitlets.Unicode()

    def __init__(self, views: SnapshotViews) -> None:
        self.views = views
        frame, code = self._images()
        super().__init__(
            frame,
            WHOLE,
            code,
            title="Images with this layer",
            nothing="Pick a layer above.",
            searched=["repository", "tag"],
            rows=10,
        )
        self.observe(lambda _: self._change(), "layer")

    def _change(self) -> None:
        about = f"Layer {text.short_digest(self.layer)} is freed only when all of these images are deleted."
        self.nothing = "No tagged image has it." if self.layer else "Pick a layer above."
        self.fill(*self._images(), about=about if self.layer else "")

    def _images(self) -> tuple[pd.DataFrame, str]:
        """The rows of `images` with the layer, and the expression that returns them."""
        has_it = f"snap.layers.loc[snap.layers['blob_digest'] == {self.layer!r}, 'digest']"
        return self.views.holders(self.layer), f"rs.image_sizes(snap)[lambda t: t['digest'].isin({has_it})]"
