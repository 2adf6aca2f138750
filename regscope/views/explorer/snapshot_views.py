"""The tables that the views of one snapshot show; each is computed once, on first use."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from regscope.analysis.diff import Diff, diff
from regscope.analysis.file_duplicates import file_duplicates
from regscope.analysis.final_tree import final_files
from regscope.analysis.image_choice import choose_one
from regscope.analysis.sharing import sharing
from regscope.analysis.sizes import image_sizes, layer_sizes
from regscope.analysis.stored_layers import stored_layers
from regscope.analysis.waste import wasted_files
from regscope.scanning.files import scan_files
from regscope.stores.content_store import ContentStore
from regscope.tables import Snapshot
from regscope.views.image_files import image_entries

_REMEMBERED = 6  # results about the files of an image that are kept; they are large


class SnapshotViews:
    """The tables of a snapshot, and the results of analyses of it."""

    def __init__(self, snap: Snapshot) -> None:
        self.snap = snap
        self._of_image = lru_cache(maxsize=_REMEMBERED)(self._asked)

    def prepare(self) -> None:
        """Compute the tables that all views need, so that a view opens faster."""
        _ = self.images, self.layers, self.stored, self.sharing

    @cached_property
    def images(self) -> pd.DataFrame:
        """`regscope.image_sizes`."""
        return image_sizes(self.snap)

    @cached_property
    def layers(self) -> pd.DataFrame:
        """`regscope.layer_sizes`, by `blob_digest`."""
        return layer_sizes(self.snap).set_index("blob_digest")

    @cached_property
    def stored(self) -> pd.DataFrame:
        """`regscope.stored_layers`."""
        return stored_layers(self.snap)

    @cached_property
    def sharing(self) -> pd.DataFrame:
        """`regscope.sharing`."""
        return sharing(self.snap)

    @cached_property
    def copies(self) -> pd.Series[int]:
        """The number of files with a content, by sha256, if more than one: of `regscope.file_duplicates`."""
        return file_duplicates(self.snap).set_index("sha256")["copies"]

    def read_files(self, store: ContentStore, *digests: str, watch: Callable[[int, int], None]) -> None:
        """Read the files of more images; those of images read before are read again from the cache.

        `watch` is called with the bytes read, and the bytes in all.
        """
        has_files = self.snap.layers["blob_digest"].isin(self.snap.unpacked["layer_digest"])
        known = self.snap.layers.loc[has_files, "digest"].astype("str").unique().tolist()
        self.snap = scan_files(self.snap, store, images=[*known, *digests], progress=False, watch=watch)
        self._of_image.cache_clear()
        self.__dict__.pop("copies", None)

    def entries(self, digest: str) -> pd.DataFrame:
        """All files in the layers of an image: `image_entries`."""
        return self._of_image(image_entries, digest)

    def final_files(self, digest: str) -> pd.DataFrame:
        """`regscope.final_files`."""
        return self._of_image(final_files, digest)

    def wasted_files(self, digest: str) -> pd.DataFrame:
        """`regscope.wasted_files`."""
        return self._of_image(wasted_files, digest)

    def diff(self, a: str, b: str) -> Diff:
        """`regscope.diff` of two images by their names."""
        digests = self.digest_of(a), self.digest_of(b)
        return replace(diff(self._part(*digests), *digests), names=(a, b))

    def layers_of(self, digest: str) -> pd.DataFrame:
        """The rows of the table `layers` of one image."""
        return self.snap.layers[self.snap.layers["digest"] == digest]

    def holders(self, layer: str) -> pd.DataFrame:
        """The rows of `images` that have a layer."""
        has_it = self.snap.layers.loc[self.snap.layers["blob_digest"] == layer, "digest"]
        return self.images[self.images["digest"].isin(has_it)]

    def image_name(self, row: int) -> str:
        """The name of a row of `images`: with its tag, or with its digest if the tag is for several platforms."""
        image = self.images.loc[row]
        return self._tag_names[row] if self._is_alone[row] else f"{image['repository']}@{image['digest']}"

    def row_of(self, image: str) -> int | None:
        """A row of `images` for any name of an image; None if it has no row, as an untagged image.

        Raises:
            InvalidInput: the name is that of no image, or of several.
        """
        rows = np.flatnonzero((self._tag_names == image) & self._is_alone)
        if not len(rows):
            rows = np.flatnonzero(self.images["digest"] == self._digest_of(image))
        return int(rows[0]) if len(rows) else None

    def digest_of(self, image: str) -> str:
        """The digest of an image, for any of its names.

        Raises:
            InvalidInput: the name is that of no image, or of several.
        """
        row = self.row_of(image)
        return self._digest_of(image) if row is None else str(self.images.loc[row, "digest"])

    @cached_property
    def _tag_names(self) -> pd.Series[str]:
        return self.images["repository"] + ":" + self.images["tag"]

    @cached_property
    def _is_alone(self) -> pd.Series[bool]:
        return ~self._tag_names.duplicated(keep=False)

    def _digest_of(self, image: str) -> str:
        digest = image.rpartition("@")[2]
        return digest if (self.images["digest"] == digest).any() else choose_one(self.snap, image)

    def _asked(self, question: Callable[[Snapshot, str], pd.DataFrame], digest: str) -> pd.DataFrame:
        return question(self._part(digest), digest)

    def _part(self, *digests: str) -> Snapshot:
        """The snapshot with only these images, which analyses process faster."""
        names = ["manifests", "placements", "platforms", "layers", "history", "labels", "referrers", "tags"]
        tables: dict[str, pd.DataFrame] = {name: getattr(self.snap, name) for name in names}
        kept = {name: _rows(table, digests) for name, table in tables.items()}
        blobs = _rows(self.snap.blobs, kept["layers"]["blob_digest"].cat.categories)
        return replace(self.snap, blobs=blobs, **kept)  # type: ignore[arg-type]


def _rows(table: pd.DataFrame, digests: Collection[str]) -> pd.DataFrame:
    """The rows of `digests`, without unused categories."""
    rows = table[table["digest"].isin(list(digests))]
    long = [
        str(name) for name, dtype in rows.dtypes.items() if dtype == "category" and len(dtype.categories) > len(rows)
    ]
    return rows.assign(**{name: rows[name].cat.remove_unused_categories() for name in long})
