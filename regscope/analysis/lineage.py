"""Which image is built on which."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from regscope.analysis.names import image_names, tagged_manifests
from regscope.tables import Snapshot


def lineage(snap: Snapshot) -> pd.DataFrame:
    """The nearest base of every image that has one in the snapshot, by ChainID (OCI image-spec, config.md).

    An image's base is the one whose layers are all at the bottom of it, as many as possible; of two with the same
    layers the one with fewer build steps. A base is old if its repository has a newer image for the same platform under
    a comparable tag: one that differs in its version only, as `3.11-slim` and `3.12-slim` do.

    Returns:
        One row for each image with a base:

        - `digest`, `name` (str): the image; its name is absent where no tag leads to it
        - `base_digest`, `base_name` (str): what it is built on
        - `shared_layers`, `own_layers` (int64)
        - `shared_size`, `own_size` (Int64, bytes): of these layers, as stored
        - `base_is_old` (bool)
        - `newer_base` (str): name of the newest comparable base; absent where there is none
    """
    tops = _tops(snap)
    candidates = _candidates(snap, tops)
    # Nearest first: most shared layers, then the most steps, then the oldest, so that rebuilds do not take over.
    order = ["digest", "shared_layers", "base_steps", "base_created", "base_digest"]
    nearest = candidates.sort_values(order, ascending=[True, False, False, True, True]).drop_duplicates("digest")
    names = image_names(snap)
    table = pd.DataFrame(
        {
            "digest": nearest["digest"],
            "name": nearest["digest"].map(names),
            "base_digest": nearest["base_digest"],
            "base_name": nearest["base_digest"].map(names),
            "shared_layers": nearest["shared_layers"],
            "own_layers": nearest["n_layers"] - nearest["shared_layers"],
            "shared_size": nearest["shared_size"],
            "own_size": nearest["total_size"] - nearest["shared_size"],
        }
    )
    table["newer_base"] = table["base_digest"].map(_newer(snap, tops))
    table.loc[_is_successor(snap, table), "newer_base"] = None
    table.insert(8, "base_is_old", table["newer_base"].notna())
    strings = dict.fromkeys(["digest", "name", "base_digest", "base_name", "newer_base"], "str")
    numbers = {"shared_layers": "int64", "own_layers": "int64", "shared_size": "Int64", "own_size": "Int64"}
    table = table.astype({**strings, **numbers})
    return table.sort_values(["name", "digest"], ignore_index=True)


def _tops(snap: Snapshot) -> pd.DataFrame:
    """Each image by the ChainID of its topmost layer."""
    layers = snap.layers.dropna(subset="chain_id").sort_values(["digest", "position"])
    tops = layers.drop_duplicates("digest", keep="last")[["digest", "chain_id"]].astype("str")
    steps = snap.history.groupby("digest", observed=True).size().rename("steps")
    steps.index = steps.index.astype("str")
    columns = ["digest", "os", "architecture", "variant"]
    images = snap.manifests.loc[snap.manifests["kind"] == "image", columns].astype("str")
    images["created"] = snap.manifests["created"]
    tops = tops.merge(images, on="digest")
    return tops.assign(steps=tops["digest"].map(steps).fillna(0).astype("int64"))


def _candidates(snap: Snapshot, tops: pd.DataFrame) -> pd.DataFrame:
    """Every image with every image whose layers are at the bottom of it."""
    layers = snap.layers.dropna(subset="chain_id").sort_values(["digest", "position"])
    layers = layers.assign(digest=layers["digest"].astype("str"), chain_id=layers["chain_id"].astype("str"))
    layers["size"] = layers["size"].fillna(0)
    by_image = layers.groupby("digest", sort=False)
    layers["shared_size"] = by_image["size"].cumsum()
    layers["n_layers"] = by_image["position"].transform("size")
    layers["total_size"] = by_image["size"].transform("sum")
    layers["shared_layers"] = layers["position"] + 1
    columns = ["digest", "chain_id", "shared_layers", "shared_size", "n_layers", "total_size"]
    bases = tops[["digest", "chain_id", "steps", "created"]].add_prefix("base_")
    pairs = layers[columns].merge(bases, left_on="chain_id", right_on="base_chain_id")
    pairs = pairs.merge(tops[["digest", "steps"]], on="digest")
    is_below = (pairs["shared_layers"] < pairs["n_layers"]) | (pairs["base_steps"] < pairs["steps"])
    return pairs[is_below & (pairs["digest"] != pairs["base_digest"])]


def _is_successor(snap: Snapshot, table: pd.DataFrame) -> pd.Series[bool]:
    """Whether an image is a later version of its own base: then it is no user of it that fell behind."""
    tagged = _families(snap)
    pairs = table[["digest", "base_digest"]].merge(tagged, on="digest")
    pairs = pairs.merge(tagged.add_prefix("base_"), on="base_digest")
    same = pairs["repository"].eq(pairs["base_repository"]) & pairs["family"].eq(pairs["base_family"])
    return table["digest"].isin(pairs.loc[same, "digest"])


def _families(snap: Snapshot) -> pd.DataFrame:
    """Each tagged manifest with its tag's family: the tag with its version numbers left open."""
    tagged = tagged_manifests(snap)
    return tagged.assign(family=[re.sub(r"\d+(?:\.\d+)*", "N", tag) for tag in tagged["tag"]])


def _newer(snap: Snapshot, tops: pd.DataFrame) -> dict[str, str]:
    """For each image that has one, the name of the newest comparable image."""
    tagged = _families(snap).merge(tops, on="digest")
    tagged = tagged[tagged["created"].notna()]
    line = ["repository", "family", "os", "architecture", "variant"]
    newest = tagged.sort_values(["created", "tag"]).drop_duplicates(line, keep="last")
    newest = newest[[*line, "tag", "created", "chain_id"]]
    pairs: Any = tagged.merge(newest, on=line, suffixes=("", "_newest"))
    pairs = pairs[(pairs["created"] < pairs["created_newest"]) & (pairs["chain_id"] != pairs["chain_id_newest"])]
    names = pairs["repository"] + ":" + pairs["tag_newest"]
    return dict(zip(pairs["digest"], names, strict=True))
