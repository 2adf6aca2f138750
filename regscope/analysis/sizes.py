"""Where the bytes are: layers and images by size."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import ranks, strings
from regscope.analysis.names import tagged_manifests
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot


@takes_snapshot
def layer_sizes(snap: Snapshot) -> pd.DataFrame:
    """Every distinct layer of an image, and who uses it.

    Returns:
        One row for each layer, largest first:

        - `blob_digest` (str)
        - `size` (Int64, bytes): as stored; absent if unknown
        - `images` (int64): image manifests that have it
        - `repositories` (int64): repositories where such an image is
        - `saved` (Int64, bytes): what storing it once saves; 0 where it lives elsewhere
        - `created_by` (str): the build instruction that made it; absent if unknown
        - `media_type` (str)
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
    table.insert(2, "repositories", placed.groupby("blob_digest")["repository"].nunique())
    table.insert(3, "saved", (table["size"] * (table["images"] - 1)).mask(table.pop("foreign"), 0))
    table = table.reset_index().astype({"size": "Int64", "saved": "Int64", "images": "int64"})
    table["repositories"] = table["repositories"].fillna(0).astype("int64")
    return table.sort_values(["size", "blob_digest"], ascending=[False, True], ignore_index=True)


@takes_snapshot
def image_sizes(snap: Snapshot) -> pd.DataFrame:
    """Every image by the tags that lead to it: an index gives one row for each platform.

    Returns:
        Largest first: `repository`, `tag`, `digest` (str), `platform` (str, `linux/arm64/v8`; empty if unknown),
        `size` (Int64, bytes: config and distinct layers as stored; absent if unknown), `n_layers` (Int64), `created`
        (UTC; absent if unknown).
    """
    images = snap.manifests[snap.is_image]
    described = _strings(images, "digest", "os", "architecture", "variant")
    parts = described[["os", "architecture", "variant"]].fillna("")
    described["platform"] = (parts["os"] + "/" + parts["architecture"] + "/" + parts["variant"]).str.strip("/")
    described["size"], described["n_layers"] = images["image_size"], images["n_layers"]
    described["created"] = images["created"]
    table = tagged_manifests(snap)[["repository", "tag", "digest"]].merge(described, on="digest")
    table = table[["repository", "tag", "digest", "platform", "size", "n_layers", "created"]]
    order = ["size", "repository", "tag", "digest"]
    return table.sort_values(order, ascending=[False, True, True, True], ignore_index=True)


def image_layers(snap: Snapshot) -> pd.DataFrame:
    """The `layers` table of images alone, without artifacts, by image and position; its digests as plain strings.

    A layer's `size` is known wherever it is known of one image, and `foreign` (bool) says that it lives elsewhere.
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
