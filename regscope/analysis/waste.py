"""Wasted bytes of images: files that a higher layer overwrites or deletes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from regscope.analysis.columns import as_arrow
from regscope.analysis.dive_efficiency import dive_efficiency
from regscope.analysis.documented import documented
from regscope.analysis.image_choice import choose_one
from regscope.analysis.layer_entries import LayerEntries
from regscope.analysis.layer_stacks import layer_stacks
from regscope.analysis.names import image_names
from regscope.analysis.selection import Selection
from regscope.arrays import Bools, Ints, ends_run, looked_up, scattered
from regscope.errors import InvalidInput
from regscope.file_rows import ROWS_AT_ONCE
from regscope.layers.overlay import Stack
from regscope.layers.stacked import Stacked
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

CAUSES = ("overwritten", "deleted", "attributes only", "same content elsewhere")
_CAUSE = pd.CategoricalDtype(pd.Index(CAUSES, dtype="str"))
_LOST = (
    Column("cause", "category", "overwritten, deleted, attributes only or same content elsewhere"),
    Column(
        "brought_by",
        "str",
        "normalised build instruction of the layer that added the bytes; `(no history)` if none is recorded",
    ),
    Column("caused_by", "str", "normalised build instruction of the layer that hides them; `(no history)` if none"),
    Column("brought_layer", "int64", "position of the layer that added the bytes"),
    Column("caused_layer", "int64", "position of the layer that hides them"),
)
_COMPRESSED = Column("compressed", "Int64", "estimated by the compression ratio of the layer that added them", "bytes")

WASTE = (
    Column("name", "str", "`repository:tag` of the image; absent if untagged"),
    Column("digest", "str", "digest of the image"),
    *_LOST,
    Column("files", "int64", "number of wasted files, without empty ones"),
    Column("bytes", "int64", "uncompressed size of these files", "bytes"),
    _COMPRESSED,
)


@takes_snapshot
@documented(columns=WASTE)
def waste(snap: Snapshot, images: Selection | None = None, *, compat: Literal["dive"] | None = None) -> pd.DataFrame:
    """Bytes in the layers of images that are not in the images' final file systems, by cause and build instruction.

    For each image, the sum of `bytes` is exactly the size of all regular files in its layers minus the size of those in
    its final file system, where a file with several names (hardlinks) counts once. The causes are:

    - `overwritten`: a higher layer, or a later entry of the same layer, has something else at the file's path
    - `deleted`: a higher layer deleted the file, or a directory above it
    - `attributes only`: the file was overwritten by the same content; at most its mode, owner or time changed
    - `same content elsewhere`: the file is gone, but its content is visible at another path: it was moved

    A file with several names is wasted when its last name is hidden; the cause is what hid that name.

    Args:
        images: names, globs or digests, or a table that names images; by default all images whose layers were all read.
        compat: "dive" gives dive's figures instead, see `dive_efficiency`.

    Returns:
        One row for each combination of image, cause, adding layer and hiding layer, in descending order of `bytes`:

        {columns}

    Raises:
        InvalidInput: `images` names no image, or an image with a layer that was not read (see `scan_files`).
    """
    if compat == "dive":
        return dive_efficiency(snap, images)
    if compat is not None:
        raise InvalidInput(f"compat={compat!r} is not supported", next_step='Leave compat out, or write compat="dive".')
    layers = layer_stacks(snap, images)
    found = list(_summed(lost for *_, lost in _lost_by_image(snap, layers)))
    table = _described(pd.concat([_NOTHING.assign(files=0), *found], ignore_index=True), layers)
    table = recast(WASTE, table.assign(name=table["digest"].map(image_names(snap))))
    order = ["bytes", "digest", "brought_layer", "caused_layer", "cause"]
    return table.sort_values(order, ascending=[False, *[True] * 4], ignore_index=True)


WASTED_FILES = (
    Column("path", "str", "path from the root, without a leading slash"),
    Column("bytes", "int64", "uncompressed size", "bytes"),
    _COMPRESSED,
    Column("sha256", "str", "SHA-256 of the content, 64 hex digits; absent if the file was not hashed"),
    *_LOST,
)


@takes_snapshot
@documented(columns=WASTED_FILES)
def wasted_files(snap: Snapshot, image: str, *, platform: str | None = None) -> pd.DataFrame:
    """The wasted files of one image: the files that `waste` counts.

    Args:
        image: `repository:tag`, `repository@digest` or a digest.
        platform: the platform to take of an index, such as `linux/arm64`.

    Returns:
        One row for each file, largest first:

        {columns}

    Raises:
        InvalidInput: `image` names no image, or several; or some of its layers were not read (see `scan_files`).
        InvalidPlatform: `platform` is not a platform.
    """
    layers = layer_stacks(snap, [choose_one(snap, image, platform)])
    found = [
        lost.assign(path=_texts(stacked.tree.names, lost["path"]), sha256=_texts(entries.sha256s, lost["sha256"]))
        for entries, stacked, lost in _lost_by_image(snap, layers)
    ]
    nothing = _NOTHING.assign(path=_EMPTY, sha256=_EMPTY)
    table = recast(WASTED_FILES, _described(pd.concat([nothing, *found], ignore_index=True), layers))
    return table.sort_values(["bytes", "path", "brought_layer"], ascending=[False, True, True], ignore_index=True)


_BY = ["cause", "brought", "caused"]
_NOTHING = pd.DataFrame(dict.fromkeys(["path", "sha256", "bytes", *_BY], pd.Series(dtype="int64")))
_EMPTY = pd.Series(dtype="str")


def _summed(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Sums of files and bytes by `_BY`, for many images at once: each key belongs to one image only."""
    waiting: list[pd.DataFrame] = []
    rows = 0
    for part in parts:
        waiting.append(part[[*_BY, "bytes"]])
        rows += len(part)
        if rows >= ROWS_AT_ONCE:
            yield _sums(waiting)
            waiting, rows = [], 0
    if waiting:
        yield _sums(waiting)


def _sums(parts: list[pd.DataFrame]) -> pd.DataFrame:
    by_key = pd.concat(parts, ignore_index=True).groupby(_BY, as_index=False)
    return by_key.agg(files=("bytes", "size"), bytes=("bytes", "sum"))


class _Contents(LayerEntries):
    """Layer entries with their sizes, and a number for each distinct content."""

    def __init__(self, snap: Snapshot, layers: Sequence[str]) -> None:
        super().__init__(snap, layers, ["size", "sha256"])
        encoded = as_arrow(self.frame["sha256"]).dictionary_encode()
        self.sha256s: pa.Array = encoded.dictionary
        self.content: Ints = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        self.size: Ints = self.frame["size"].to_numpy()


def _lost_by_image(snap: Snapshot, layers: pd.DataFrame) -> Iterator[tuple[_Contents, Stacked, pd.DataFrame]]:
    """The wasted files of each image; `brought` and `caused` are rows of `layers`.

    Images share their lowest layers, so images with the same lowest layer are read together: each of their layers is
    read once.
    """
    blobs = layers["blob_digest"].to_numpy(dtype=object)
    starts = np.flatnonzero(~layers["digest"].duplicated()).tolist()
    images: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for start, end in pairwise([*starts, len(layers)]):
        images[blobs[start]].append((start, end))
    for spans in images.values():
        used = dict.fromkeys(blob for start, end in spans for blob in blobs[start:end])
        entries = _Contents(snap, list(used))
        for start, end in spans:
            stacked = entries.stacked(list(blobs[start:end]))
            yield entries, stacked, _lost(entries, stacked, start)


def _lost(entries: _Contents, image: Stacked, start: int) -> pd.DataFrame:
    """The files that are not in the final file system; `start` is the row of the image's lowest layer.

    Layer 0 has the files a, b, c and d, and the hardlink e to d; layer 1 has a with other content, b with the same,
    a file f with the content of c, and whiteouts of c, d and e:

        entry  hidden by       | cause
        a      a of layer 1    | overwritten
        b      b of layer 1    | attributes only
        c      its whiteout    | same content elsewhere
        d      its whiteout    | deleted, once: d and e are names of one file
        e      its whiteout    |
    """
    stack, size, content = image.stack, entries.size[image.rows], entries.content[image.rows]
    inode = stack.inode
    is_lost = entries.entries.is_file[image.rows] & (size > 0)
    is_lost[inode[stack.visible]] = False
    # Of several names of one file, the one that was hidden last decides the cause.
    names = np.flatnonzero(is_lost[inode] & stack.is_entry)
    names = names[np.lexsort((stack.hidden_at[names], inode[names]))]
    last = names[ends_run(inode[names])]
    by, file = stack.hidden_by[last], inode[last]
    is_same = stack.is_entry[by] & (stack.node[by] == stack.node[last]) & (content[inode[by]] == content[file])
    cause = np.select(
        [is_same, _is_elsewhere(stack, content[inode], content[file], stack.node[last]), stack.overwritten[last]],
        [CAUSES.index(cause) for cause in ("attributes only", "same content elsewhere", "overwritten")],
        CAUSES.index("deleted"),
    )
    return pd.DataFrame(
        {
            "path": image.paths[stack.node[file]],
            "sha256": content[file],
            "bytes": size[file],
            "cause": cause,
            "brought": image.layer[file] + start,
            "caused": image.layer[by] + start,
        }
    )


def _is_elsewhere(stack: Stack, content_at: Ints, wanted: Ints, node: Ints) -> Bools:
    """For each content in `wanted`, whether it is visible at a path other than its `node`."""
    visible = np.flatnonzero(stack.visible & (content_at >= 0))
    contents, count = np.unique(content_at[visible], return_counts=True)
    place = np.searchsorted(contents, wanted)
    found: Bools = looked_up(contents, place, absent=-1) == wanted
    at_node = scattered(content_at[visible], stack.node[visible], len(stack.parent), absent=-1)
    others: Bools = looked_up(count, place, absent=0) > (at_node[node] == wanted)
    return found & others


def _described(table: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """`table` with the instructions and positions of the layers `brought` and `caused`, and compressed bytes."""
    brought, caused = (layers.iloc[table[column].to_numpy(dtype=np.int64)] for column in ("brought", "caused"))
    ratio = (brought["size"] / brought["tar_size"]).to_numpy(dtype=np.float64)
    return table.assign(
        digest=brought["digest"].array,
        cause=pd.Categorical.from_codes(table["cause"].to_numpy(dtype=np.int8), dtype=_CAUSE),
        brought_by=brought["instruction"].array,
        caused_by=caused["instruction"].array,
        brought_layer=brought["position"].to_numpy(),
        caused_layer=caused["position"].to_numpy(),
        compressed=pd.array(np.round(table["bytes"].to_numpy() * ratio), dtype="Int64"),
    )


def _texts(names: pa.Array, numbers: pd.Series[int]) -> pd.Series[str]:
    return pd.Series(names.take(pa.array(numbers)).to_pandas(), dtype="str")
