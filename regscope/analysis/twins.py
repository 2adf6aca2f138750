"""Layers that are the same and have different digests: builds that are not reproducible."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.fingerprints import ASPECTS, CONTENT, ORDER, fingerprints
from regscope.analysis.near_twins import near_twins
from regscope.analysis.sizes import layer_sizes
from regscope.errors import InvalidInput
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

TWINS = (
    Column("group", "int64", "number of the group, from 1"),
    Column("layer_digest", "str", "digest of the layer as stored"),
    Column("diff_id", "str", "digest of the uncompressed layer"),
    Column("size", "int64", "as stored", "bytes"),
    Column("similarity", "float64", "to the first layer of the group, by bytes; 1 where the content is the same"),
    Column(
        "reason",
        "str",
        "why it is another layer than the first of the group: compression (the same diff_id); or which of mtimes, "
        "owner, mode, xattrs and order differ; tar format where none of these do; content where that is only nearly "
        "the same; absent for the first",
    ),
    Column(
        "saved",
        "int64",
        "its size, 0 for the first of the group: had the build been reproducible, the first would be stored and no "
        "other",
        "bytes",
    ),
    Column("created_by", "str", "the build instruction that made it; absent if unknown"),
    Column("images", "int64", "image manifests that have it"),
)


@takes_snapshot
@documented(columns=TWINS)
def twins(snap: Snapshot, threshold: float = 1.0) -> pd.DataFrame:
    """Layers with different digests and the same content: the same paths, kinds, contents, link targets and whiteouts.

    Below a `threshold` of 1, nearly the same as well: those that have at least this share of the bytes of their regular
    files in common with the largest layer of the group, at the same path and with the same content. Every layer is in
    one group at most: with the layer that it is most similar to, of those that are larger as stored and in no group of
    a still larger one. Layers are compared only where the rarest of what they share with others could make them near;
    the time grows with the rows, and with such pairs.

    Args:
        snap: with the files of its layers.
        threshold: above 0, and at most 1.

    Returns:
        One row for each layer of a group, the groups that would save most first, the largest layer of a group first:

        {columns}

    Raises:
        InvalidInput: the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise InvalidInput(f"{threshold} is no share of bytes", next_step="Give a threshold above 0, and at most 1.")
    layers = _layers(snap)
    first, similarity = _first_of_group(snap, layers, threshold)
    saved = layers["size"].where(first != np.arange(len(layers)), 0)
    table = layers[["layer_digest", "diff_id", "size"]].assign(
        similarity=similarity, reason=_reasons(layers, first), saved=saved, first=first
    )
    by_group = table.groupby("first")
    table["together"] = by_group["saved"].transform("sum")
    table = table[by_group["saved"].transform("size") > 1]
    table = table.sort_values(["together", "first"], ascending=[False, True], kind="stable", ignore_index=True)
    table["group"] = (table["first"] != table["first"].shift()).cumsum()
    about = layer_sizes(snap).set_index("blob_digest").reindex(table["layer_digest"])
    table["created_by"] = about["created_by"].to_numpy()
    table["images"] = about["images"].fillna(0).to_numpy()
    return recast(TWINS, table)


def _layers(snap: Snapshot) -> pd.DataFrame:
    """The layers that were read, with the digests of what they hold, largest first."""
    read = snap.unpacked[["layer_digest", "diff_id", "size"]].astype({"layer_digest": "str", "diff_id": "str"})
    layers = read.merge(fingerprints(snap), left_on="layer_digest", right_index=True)
    return layers.sort_values(["size", "layer_digest"], ascending=[False, True], ignore_index=True)


def _first_of_group(snap: Snapshot, layers: pd.DataFrame, threshold: float) -> tuple[pd.Series[int], pd.Series[float]]:
    """For each layer, the position of the largest of its group, and its similarity to that."""
    position = pd.Series(np.arange(len(layers)))
    first = position.groupby(layers[CONTENT]).transform("first").astype("int64")
    if threshold == 1:
        return first, pd.Series(1.0, index=position)
    distinct = first.drop_duplicates()
    stands_for, similarity = near_twins(snap, pd.Index(layers["layer_digest"])[distinct], threshold)
    nearest = pd.DataFrame({"first": distinct.to_numpy()[stands_for], "similarity": similarity}, index=distinct)
    nearest = nearest.loc[first].reset_index(drop=True)
    return nearest["first"], nearest["similarity"]


def _reasons(layers: pd.DataFrame, first: pd.Series[int]) -> pd.Series[str]:
    firsts = layers.loc[first].reset_index(drop=True)
    others = [aspect for aspect in [*ASPECTS, ORDER] if aspect != CONTENT]
    reasons = pd.Series("", index=layers.index)
    for aspect in others:
        reasons += (layers[aspect] != firsts[aspect]).map({True: f", {aspect}", False: ""})
    reasons = reasons.str.removeprefix(", ").replace("", "tar format")
    reasons = reasons.mask(layers[CONTENT] != firsts[CONTENT], CONTENT)
    reasons = reasons.mask(layers["diff_id"] == firsts["diff_id"], "compression")
    return reasons.mask(first == layers.index)
