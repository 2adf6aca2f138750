"""The stored layers, and the repository that owns each of them or shares it with others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import numbered, ranks, strings
from regscope.analysis.documented import documented
from regscope.analysis.relation import Relation
from regscope.arrays import Ints, least, looked_up, scattered
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

SHARED = "shared by several repositories"
NOWHERE = "in no repository"


STORED_LAYERS = (
    Column("digest", "str", "digest of the layer as stored"),
    Column("size", "int64", "size as stored (compressed); 0 if unknown", "bytes"),
    Column("owner", "str", f"the only repository with this layer, else `{SHARED}` or `{NOWHERE}`"),
    Column("is_shared", "bool", "whether several repositories have the layer"),
    Column(
        "created_by", "str", "build instruction that made the layer, the first one if images differ; absent if unknown"
    ),
)


@takes_snapshot
@documented(columns=STORED_LAYERS)
def stored_layers(snap: Snapshot) -> pd.DataFrame:
    """Every distinct layer in the store, largest first.

    Returns:
        One row for each layer:

        {columns}
    """
    blobs = snap.blobs[(snap.blobs["kind"] == "layer") & ~snap.blobs["foreign"]]
    table = pd.DataFrame({"digest": blobs["digest"].astype("str"), "size": blobs["size"].fillna(0).astype("int64")})
    used = numbered(strings(blobs["digest"]), snap.layers["blob_digest"])[0]
    holding = _repositories(snap, used, len(blobs))
    holders = np.bincount(holding.left, minlength=len(blobs))
    owner = scattered(holding.right, holding.left, len(blobs), absent=-1)
    names = snap.placements["repository"].cat.categories.astype("str")
    table["owner"] = names.take(owner, allow_fill=True, fill_value=np.nan)
    table["owner"] = table["owner"].mask(holders > 1, SHARED).mask(holders == 0, NOWHERE)
    table["is_shared"] = holders > 1
    table["created_by"] = _least(snap.layers["created_by"], used, len(blobs))
    return recast(STORED_LAYERS, table).sort_values(["size", "digest"], ascending=[False, True], ignore_index=True)


def _repositories(snap: Snapshot, used: Ints, n_blobs: int) -> Relation:
    """Each blob to its repositories, by their codes in `placements`; `used` has the blob of each row of `layers`."""
    image, placed = snap.layers["digest"].cat, snap.placements
    place = numbered(image.categories.astype("str"), placed["digest"])[0]
    repository: Ints = placed["repository"].cat.codes.to_numpy().astype(np.int64)[place >= 0]
    images: Ints = image.codes.to_numpy().astype(np.int64)
    held = Relation(images, used, len(image.categories), n_blobs)
    row, blob = held.of(place[place >= 0])
    return Relation(blob, repository[row], n_blobs, len(placed["repository"].cat.categories))


def _least(lines: pd.Series[str], used: Ints, n_blobs: int) -> pd.Index[str]:
    """For each blob, the alphabetically first of its lines."""
    codes, names = lines.cat.codes.to_numpy(dtype=np.int64), lines.cat.categories.astype("str")
    known = (codes >= 0) & (used >= 0)
    place = ranks(names)
    first = least(used[known], place[codes[known]] - 1, n_blobs, absent=len(names))
    line = looked_up(np.argsort(place, kind="stable"), first, absent=-1)
    return names.take(line, allow_fill=True, fill_value=np.nan)
