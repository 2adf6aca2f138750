"""Who else has a layer."""

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
        layer: its digest; empty for none. It can be set.
    """

    layer = traitlets.Unicode()

    def __init__(self, views: SnapshotViews) -> None:
        self.views = views
        frame, code = self._images()
        super().__init__(
            frame,
            WHOLE,
            code,
            title="Who has this layer",
            nothing="Pick a layer above.",
            searched=["repository", "tag"],
            rows=10,
        )
        self.observe(lambda _: self._change(), "layer")

    def _change(self) -> None:
        about = f"Layer {text.short_digest(self.layer)}: deleting one of these frees it only where it is the last."
        self.nothing = "No tagged image has it." if self.layer else "Pick a layer above."
        self.fill(*self._images(), about=about if self.layer else "")

    def _images(self) -> tuple[pd.DataFrame, str]:
        """The rows of `images` with the layer, and the expression that gives them."""
        has_it = f"snap.layers.loc[snap.layers['blob_digest'] == {self.layer!r}, 'digest']"
        return self.views.holders(self.layer), f"rs.image_sizes(snap)[lambda t: t['digest'].isin({has_it})]"
