"""The entries of layers as columns of numbers, read once for all images with these layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from regscope.analysis.columns import as_arrow
from regscope.arrays import joined
from regscope.file_rows import FileRows
from regscope.layers.stacked import WHITEOUTS, Entries, Stacked
from regscope.tables import Snapshot

KINDS = ("file", "directory", "symlink", "hardlink", "character device", "block device", "fifo")
_FIXED = {"kind": KINDS, "whiteout": WHITEOUTS}
_NEEDED = ("path", "kind", "link_target", "whiteout")


class LayerEntries:
    """The rows of `files` of some layers.

    Args:
        layers: distinct digests of layers.
        columns: the columns of `frame`.

    Attributes:
        frame: one row for each entry, layer by layer.
        entries: the same entries as `Entries`, from which overlays are made.
    """

    def __init__(self, snap: Snapshot, layers: Sequence[str], columns: Sequence[str]) -> None:
        reading = FileRows(snap.files, list(dict.fromkeys((*_NEEDED, *columns))))
        lengths = [reading.length(layer) for layer in layers]
        ends = np.cumsum(lengths, dtype=np.int64)
        self._spans = {
            layer: np.arange(end - length, end) for layer, length, end in zip(layers, lengths, ends, strict=True)
        }
        frame = _plain(reading.of(*layers)).reset_index(drop=True)
        self.frame = frame[list(columns)]
        kind, whiteout = (_words(frame[name]) for name in ("kind", "whiteout"))
        self.entries = Entries(as_arrow(frame["path"]), kind, whiteout, as_arrow(frame["link_target"]))

    def stacked(self, layers: Sequence[str]) -> Stacked:
        """The overlay of an image's layers, lowest first; a layer may occur more than once."""
        spans = [self._spans[layer] for layer in layers]
        rows = joined(spans)
        layer = np.repeat(np.arange(len(spans)), [len(span) for span in spans])
        return self.entries.stacked(rows, layer)


def _words(column: pd.Series[str]) -> pa.DictionaryArray:
    """A categorical column as an Arrow array."""
    codes = column.cat.codes.to_numpy()
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(column.cat.categories, pa.string()))


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with fixed categories where the values are known, and text for other categorical columns."""
    categories = [str(name) for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    open_ones = [name for name in categories if name not in _FIXED]
    # astype would not change the order of equal categories.
    fixed = {name: frame[name].cat.set_categories(pd.Index(values, dtype="str")) for name, values in _FIXED.items()}
    return frame.assign(**fixed).astype(dict.fromkeys(open_ones, "str"))
