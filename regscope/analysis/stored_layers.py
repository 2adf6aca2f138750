"""Which repository holds each stored layer, alone or with others."""

from __future__ import annotations

import pandas as pd

from regscope.tables import Snapshot

SHARED = "shared by several repositories"
NOWHERE = "in no repository"


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
    used = snap.layers[["digest", "blob_digest", "created_by"]].astype("str")
    placed = used.merge(snap.placements[["repository", "digest"]].astype("str"), on="digest")
    by_layer = placed.groupby("blob_digest")["repository"]
    holders = table["digest"].map(by_layer.nunique()).fillna(0)
    table["owner"] = table["digest"].map(by_layer.first())
    table["owner"] = table["owner"].mask(holders > 1, SHARED).mask(holders == 0, NOWHERE).astype("str")
    table["is_shared"] = holders > 1
    table["created_by"] = table["digest"].map(used.groupby("blob_digest")["created_by"].min()).astype("str")
    return table.sort_values(["size", "digest"], ascending=[False, True], ignore_index=True)
