"""The contents of the layers' regular files as integer arrays: ten million files take a few hundred megabytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from regscope.analysis.columns import as_arrow, numbered_parts
from regscope.arrays import Bools, Ints, joined, scattered
from regscope.file_rows import FileRows
from regscope.tables import Snapshot


def is_standing(rows: pd.DataFrame) -> Bools:
    """For each row, whether it is an entry (not a whiteout) that no later entry of the same layer replaces.

    `rows` are all rows of some layers, with `layer_digest`, `path` and `whiteout`.

    >>> rows = [("one", "a", None), ("one", "b", None), ("one", "a", None), ("one", "b", "delete"), ("two", "a", None)]
    >>> is_standing(pd.DataFrame(rows, columns=["layer_digest", "path", "whiteout"]))
    array([False,  True,  True, False,  True])
    """
    standing = rows["whiteout"].isna().to_numpy(copy=True)
    replaced = rows.loc[standing, ["layer_digest", "path"]].duplicated(keep="last").to_numpy()
    standing[standing] = ~replaced
    return standing


class FileContents:
    """The regular files that are not empty and were hashed, by layer digest, in the order of the tars.

    Attributes:
        layers: the digests of all layers that were read, sorted; a layer's number is its position.
        layer: for each file, the number of its layer.
        content: for each file, the number of its content.
        row: for each file, the number of its row in `FileRows.frames`.
        sha256: the SHA-256 of each content, by number.
        size: the size of each content in bytes, by number.
    """

    def __init__(self, snap: Snapshot) -> None:
        self._rows = FileRows(snap.files, ["layer_digest", "path", "kind", "size", "sha256", "whiteout"])
        self._paths = FileRows(snap.files, ["path"])
        self.layers = pd.Index(sorted(self._rows.layers), dtype="str")
        contents, layers, rows, sizes = [], [], [], []
        before = 0
        for frame in self._rows.frames():
            is_file = (frame["kind"] == "file").to_numpy(copy=True) & (frame["size"] > 0).to_numpy()
            is_file &= frame["sha256"].notna().to_numpy() & is_standing(frame)
            files = frame[is_file]
            numbers = self.layers.get_indexer(files["layer_digest"].cat.categories)
            contents.append(as_arrow(files["sha256"]).dictionary_encode())
            layers.append(numbers[files["layer_digest"].cat.codes.to_numpy()].astype(np.int32))
            rows.append(np.flatnonzero(is_file) + before)
            sizes.append(files["size"].to_numpy())
            before += len(frame)
        content, self.sha256 = numbered_parts(contents)
        layer = np.concatenate([np.array([], dtype=np.int32), *layers])
        row, size = joined(rows), joined(sizes)
        order = np.argsort(layer, kind="stable")
        self.layer: Ints = layer[order].astype(np.int64)
        self.content, self.row = content[order], row[order]
        self.size = scattered(size, content, len(self.sha256), absent=0)

    def paths(self, files: Bools) -> Iterator[tuple[Ints, pa.Array]]:
        """Read the paths of the files in the mask `files`: in parts, their positions and their paths."""
        wanted = np.flatnonzero(files)
        wanted = wanted[np.argsort(self.row[wanted], kind="stable")]
        rows = self.row[wanted]
        before = 0
        for frame in self._paths.frames():
            first, end = np.searchsorted(rows, [before, before + len(frame)])
            yield wanted[first:end], as_arrow(frame["path"]).take(pa.array(rows[first:end] - before))
            before += len(frame)
