"""Layers and images by their size."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import ranks, strings
from regscope.analysis.documented import documented
from regscope.analysis.names import tagged_manifests
from regscope.schema import TIME, Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

LAYER_SIZES = (
    Column("blob_digest", "str", "digest of the layer as stored"),
    Column("size", "Int64", "size as stored (compressed); absent if unknown", "bytes"),
    Column("images", "int64", "number of image manifests with this layer"),
    Column("repositories", "int64", "number of repositories with such an image"),
    Column("saved", "Int64", "saved by storing the layer once instead of once per image; 0 if foreign", "bytes"),
    Column("created_by", "str", "build instruction that made the layer; absent if unknown"),
    Column("media_type", "str", "media type of the layer"),
)


@takes_snapshot
@documented(columns=LAYER_SIZES)
def layer_sizes(snap: Snapshot) -> pd.DataFrame:
    """Every distinct layer of the snapshot's images, and the number of images and repositories that use it.

    Returns:
        One row for each layer, largest first:

        {columns}
    """
    used = image_layers(snap).drop_duplicates(["digest", "blob_digest"])
    placed = used[["digest", "blob_digest"]].merge(_strings(snap.placements, "repository", "digest"), on="digest")
    by_layer = used.groupby("blob_digest", sort=False)
    table = by_layer.agg(
        size=("size", "first"),
        images=("digest", "size"),
        created_by=("created_by", "first"),
        media_type=("media_type", "first"),
        foreign=("foreign", "first"),
    )
    table["repositories"] = placed.groupby("blob_digest")["repository"].nunique()
    table["repositories"] = table["repositories"].fillna(0)
    table["saved"] = (table["size"] * (table["images"] - 1)).mask(table["foreign"], 0)
    table = recast(LAYER_SIZES, table.reset_index())
    return table.sort_values(["size", "blob_digest"], ascending=[False, True], ignore_index=True)


IMAGE_SIZES = (
    Column("repository", "str", "full name of the repository"),
    Column("tag", "str", "name of the tag"),
    Column("digest", "str", "digest of the image's manifest"),
    Column("platform", "str", "such as `linux/arm64/v8`; empty if unknown"),
    Column("size", "Int64", "config and distinct layers, as stored (compressed); absent if unknown", "bytes"),
    Column("n_layers", "Int64", "number of layers, a repeated layer counted each time; absent if unknown"),
    Column("created", TIME, "when the image was built; absent if unknown"),
)


@takes_snapshot
@documented(columns=IMAGE_SIZES)
def image_sizes(snap: Snapshot) -> pd.DataFrame:
    """Every tagged image, by tag; a tag on an index has one row for each image in the index.

    Returns:
        One row for each tag and image, in descending order of `size`:

        {columns}
    """
    images = snap.manifests[snap.is_image]
    described = _strings(images, "digest", "os", "architecture", "variant")
    parts = described[["os", "architecture", "variant"]].fillna("")
    described["platform"] = (parts["os"] + "/" + parts["architecture"] + "/" + parts["variant"]).str.strip("/")
    described["size"], described["n_layers"] = images["image_size"], images["n_layers"]
    described["created"] = images["created"]
    table = tagged_manifests(snap)[["repository", "tag", "digest"]].merge(described, on="digest")
    order = ["size", "repository", "tag", "digest"]
    return recast(IMAGE_SIZES, table).sort_values(order, ascending=[False, True, True, True], ignore_index=True)


def image_layers(snap: Snapshot) -> pd.DataFrame:
    """The `layers` table without artifacts, sorted by image and position; digests are plain strings.

    `size` is filled in where another image has the size of the same layer. `foreign` (bool) says that the layer is
    served from elsewhere.
    """
    layers = snap.layers[snap.layers["digest"].isin(snap.manifests.loc[snap.is_image, "digest"].astype("str"))]
    images = layers["digest"].cat
    layers = layers.iloc[
        np.lexsort([layers["position"].to_numpy(), ranks(images.categories.astype("str"))[images.codes]])
    ]
    elsewhere = snap.blobs.loc[snap.blobs["foreign"], "digest"].astype("str")
    size = layers["size"].groupby(layers["blob_digest"].cat.codes).transform("first")
    texts = _strings(layers, "digest", "blob_digest", "created_by", "media_type")
    return layers.assign(size=size, foreign=layers["blob_digest"].isin(elsewhere), **texts)


def _strings(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return pd.DataFrame({column: strings(table[column]) for column in columns}, index=table.index)
