"""Which repository holds each stored layer, alone or with others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import numbered, ranks, strings
from regscope.analysis.relation import Ints, Relation
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

SHARED = "shared by several repositories"
NOWHERE = "in no repository"


@takes_snapshot
def stored_layers(snap: Snapshot) -> pd.DataFrame:
    """Every distinct layer in the store, largest first.

    Returns:
        One row for each:

        - `digest` (str)
        - `size` (int64, bytes): as stored; 0 if unknown
        - `owner` (str): the repository that alone has it, else `shared by several repositories` or `in no repository`
        - `is_shared` (bool): whether several repositories have it
        - `created_by` (str): the build instruction that made it, the first one where images differ; absent if unknown
    """
    blobs = snap.blobs[(snap.blobs["kind"] == "layer") & ~snap.blobs["foreign"]]
    table = pd.DataFrame({"digest": blobs["digest"].astype("str"), "size": blobs["size"].fillna(0).astype("int64")})
    used = numbered(strings(blobs["digest"]), snap.layers["blob_digest"])[0]
    holding = _repositories(snap, used, len(blobs))
    holders = np.bincount(holding.left, minlength=len(blobs))
    owner = np.full(len(blobs), -1, dtype=np.int64)
    owner[holding.left] = holding.right
    names = snap.placements["repository"].cat.categories.astype("str")
    table["owner"] = names.take(owner, allow_fill=True, fill_value=np.nan)
    table["owner"] = table["owner"].mask(holders > 1, SHARED).mask(holders == 0, NOWHERE).astype("str")
    table["is_shared"] = holders > 1
    table["created_by"] = _least(snap.layers["created_by"], used, len(blobs))
    return table.sort_values(["size", "digest"], ascending=[False, True], ignore_index=True)


def _repositories(snap: Snapshot, used: Ints, n_blobs: int) -> Relation:
    """The repositories of each blob, by their codes in `placements`; `used` is the blob of each row of `layers`."""
    image, placed = snap.layers["digest"].cat, snap.placements
    place = numbered(image.categories.astype("str"), placed["digest"])[0]
    repository: Ints = placed["repository"].cat.codes.to_numpy().astype(np.int64)[place >= 0]
    images: Ints = image.codes.to_numpy().astype(np.int64)
    held = Relation(images, used, len(image.categories), n_blobs)
    row, blob = held.of(place[place >= 0])
    return Relation(blob, repository[row], n_blobs, len(placed["repository"].cat.categories))


def _least(lines: pd.Series[str], used: Ints, n_blobs: int) -> pd.Index[str]:
    """The first line of each blob in their order."""
    codes, names = lines.cat.codes.to_numpy(dtype=np.int64), lines.cat.categories.astype("str")
    known = (codes >= 0) & (used >= 0)
    place = ranks(names)
    first = np.full(n_blobs, len(names), dtype=np.int64)
    np.minimum.at(first, used[known], place[codes[known]] - 1)
    ordered = np.append(np.argsort(place, kind="stable"), -1)
    return names.take(ordered[first], allow_fill=True, fill_value=np.nan)
