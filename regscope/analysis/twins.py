"""Layers with equal content and different digests, as builds that are not reproducible make them."""

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
    Column("size", "int64", "size as stored (compressed)", "bytes"),
    Column("similarity", "float64", "share of bytes in common with the group's first layer; 1 for equal content"),
    Column(
        "reason",
        "str",
        "why the digest differs from that of the group's first layer: compression (equal diff_id); or which of mtimes, "
        "owner, mode, xattrs and order differ; tar format if none of these differs; content if the content differs; "
        "absent for the first layer",
    ),
    Column(
        "saved",
        "int64",
        "size that a reproducible build would save: the layer's size, 0 for the first layer of the group",
        "bytes",
    ),
    Column("created_by", "str", "build instruction that made the layer; absent if unknown"),
    Column("images", "int64", "number of image manifests with this layer"),
)


@takes_snapshot
@documented(columns=TWINS)
def twins(snap: Snapshot, threshold: float = 1.0) -> pd.DataFrame:
    """Layers with different digests and equal content: equal paths, kinds, contents, link targets and whiteouts.

    With a `threshold` below 1, nearly equal layers are grouped as well: layers that have at least this share of the
    bytes of their regular files in common with the largest layer of the group, at equal paths with equal content. Each
    layer is in at most one group: that of the most similar layer among those that are larger as stored and the first of
    their group. Only pairs of layers that share rare files are compared; the time grows with the number of rows and
    with the number of these pairs.

    Args:
        snap: a snapshot with the files of its layers (see `scan_files`).
        threshold: the least share of common bytes, above 0 and at most 1.

    Returns:
        One row for each layer of a group, by the sum of `saved` of the group, the largest layer of a group first:

        {columns}

    Raises:
        InvalidInput: `threshold` is out of range.
    """
    if not 0 < threshold <= 1:
        raise InvalidInput(f"threshold={threshold} is out of range", next_step="Give a number above 0 and at most 1.")
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
    """The layers that were read, with the fingerprints of their content, largest first."""
    read = snap.unpacked[["layer_digest", "diff_id", "size"]].astype({"layer_digest": "str", "diff_id": "str"})
    layers = read.merge(fingerprints(snap), left_on="layer_digest", right_index=True)
    return layers.sort_values(["size", "layer_digest"], ascending=[False, True], ignore_index=True)


def _first_of_group(snap: Snapshot, layers: pd.DataFrame, threshold: float) -> tuple[pd.Series[int], pd.Series[float]]:
    """For each layer, the position of the largest layer of its group, and its similarity to that layer."""
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
