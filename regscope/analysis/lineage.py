"""Which image is built on which."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.base_candidates import Candidates
from regscope.analysis.documented import documented
from regscope.analysis.names import image_names
from regscope.analysis.newer_bases import families, newer_bases
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

LINEAGE = (
    Column("digest", "str", "digest of the image"),
    Column("name", "str", "`repository:tag` of the image; absent where no tag leads to it"),
    Column("base_digest", "str", "digest of what it is built on"),
    Column("base_name", "str", "`repository:tag` of that; absent where no tag leads to it"),
    Column("shared_layers", "int64", "layers that are the base's"),
    Column("own_layers", "int64", "layers on top of these"),
    Column("shared_size", "Int64", "of the base's layers, as stored, a repeated one once", "bytes"),
    Column("own_size", "Int64", "of the layers on top, as stored, a repeated one once", "bytes"),
    Column("base_is_old", "bool", "whether there is a newer base"),
    Column("newer_base", "str", "name of the newest comparable base; absent where there is none"),
)


@takes_snapshot
@documented(columns=LINEAGE)
def lineage(snap: Snapshot) -> pd.DataFrame:
    """The nearest base of every image that has one in the snapshot, by ChainID and history (OCI image-spec, config.md).

    An image's base is the one whose layers are all at the bottom of it, as many as possible, and whose history its own
    begins with. An image with other steps is no base, though its layers are the same: another child of the same base,
    with a label more, is not. Where one of the two has no history, or a tool other than a Dockerfile's builder may have
    left steps out, the layers alone decide. Of several bases, one that is stored in the same blobs is preferred to one
    of the same content, then the one with fewer steps, then the oldest. Images without DiffIDs are left out.

    A base is old if its repository has a newer image for the same platform under a comparable tag: one that differs in
    its version only, as `3.11-slim` and `3.12-slim` do, and whose version is not lower; the same holds if that is so of
    another image of the same layers and history. A base that no tag leads to is old if a newer image of its repository
    was made by the same instructions: its tag moved on. An image of the base's own repository under a comparable tag
    follows its base, and is not on an old one.

    Returns:
        One row for each image with a base:

        {columns}
    """
    candidates = Candidates(snap)
    table = candidates.nearest()
    names = image_names(snap)
    table["name"] = table["digest"].map(names)
    table["base_name"] = table["base_digest"].map(names)
    table["newer_base"] = table["base_digest"].map(newer_bases(snap, candidates.tops, table["base_digest"]))
    table.loc[_is_successor(snap, table), "newer_base"] = None
    table["base_is_old"] = table["newer_base"].notna()
    return recast(LINEAGE, table).sort_values(["name", "digest"], ignore_index=True)


def _is_successor(snap: Snapshot, table: pd.DataFrame) -> pd.Series[bool]:
    """Whether an image is a later version of its own base: then it is no user of it that fell behind."""
    tagged = families(snap)
    pairs = table[["digest", "base_digest"]].merge(tagged, on="digest")
    pairs = pairs.merge(tagged.add_prefix("base_"), on="base_digest")
    same = pairs["repository"].eq(pairs["base_repository"]) & pairs["family"].eq(pairs["base_family"])
    return table["digest"].isin(pairs.loc[same, "digest"])
