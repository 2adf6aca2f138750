"""The base image of each image."""

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
    Column("name", "str", "`repository:tag` of the image; absent if untagged"),
    Column("base_digest", "str", "digest of the base image"),
    Column("base_name", "str", "`repository:tag` of the base image; absent if untagged"),
    Column("shared_layers", "int64", "number of layers from the base"),
    Column("own_layers", "int64", "number of layers on top of the base"),
    Column("shared_size", "Int64", "size of the distinct layers from the base, as stored", "bytes"),
    Column("own_size", "Int64", "size of the distinct layers on top of the base, as stored", "bytes"),
    Column("base_is_old", "bool", "whether there is a newer base"),
    Column("newer_base", "str", "name of the newest comparable base; absent if there is no newer one"),
)


@takes_snapshot
@documented(columns=LINEAGE)
def lineage(snap: Snapshot) -> pd.DataFrame:
    """The nearest base of every image that has one in the snapshot, by ChainID and history (OCI image-spec, config.md).

    The base of an image is the image with the most layers whose layers are the image's lowest layers, and whose history
    is the beginning of the image's history. An image with the same lowest layers but other steps is not a base: for
    example another child of the same base that adds a label. Only the layers are compared where one of the two images
    has no history, or where a tool other than a Dockerfile builder may have omitted steps. Of several candidates, a
    base stored in the same blobs is preferred to one of equal uncompressed layers, then the one with fewer steps, then
    the oldest. Images without DiffIDs are left out.

    A base is old if its repository has a newer image for the same platform under a comparable tag: a tag that differs
    in its version only, as `3.11-slim` and `3.12-slim` do, and whose version is not lower. A base is also old if this
    holds for another image with the same layers and history. An untagged base is old if the same instructions made a
    newer image in its repository: the tag was moved to that image. An image in its base's repository under a comparable
    tag is the base's successor, and its base is not reported as old.

    Returns:
        One row for each image with a base:

        {columns}
    """
    candidates = Candidates(snap)
    table = candidates.nearest()
    names = image_names(snap)
    table["name"] = table["digest"].map(names)
    table["base_name"] = table["base_digest"].map(names)
    tagged = families(snap)
    newer = newer_bases(snap, tagged, candidates.tops, table["base_digest"])
    table["newer_base"] = table["base_digest"].map(newer)
    table.loc[_is_successor(tagged, table), "newer_base"] = None
    table["base_is_old"] = table["newer_base"].notna()
    return recast(LINEAGE, table).sort_values(["name", "digest"], ignore_index=True)


def _is_successor(tagged: pd.DataFrame, table: pd.DataFrame) -> pd.Series[bool]:
    """For each row, whether the image is a later version of its own base; its base is then not reported as old."""
    pairs = table[["digest", "base_digest"]].merge(tagged, on="digest")
    pairs = pairs.merge(tagged.add_prefix("base_"), on="base_digest")
    same = pairs["repository"].eq(pairs["base_repository"]) & pairs["family"].eq(pairs["base_family"])
    return table["digest"].isin(pairs.loc[same, "digest"])
