"""Which image is built on which."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from regscope.analysis.names import image_names, tagged_manifests
from regscope.tables import Snapshot


def lineage(snap: Snapshot) -> pd.DataFrame:
    """The nearest base of every image that has one in the snapshot, by ChainID (OCI image-spec, config.md).

    An image's base is the one whose layers are all at the bottom of it, as many as possible; of two images with the
    same layers, the one with fewer build steps is the base of the other. Images without DiffIDs are left out. A base is
    old if its repository has a newer image for the same platform under a comparable tag: one that differs in its
    version only, as `3.11-slim` and `3.12-slim` do, and whose version is not lower. An image of the base's own
    repository under a comparable tag follows its base, and is not on an old one.

    Returns:
        One row for each image with a base:

        - `digest`, `name` (str): the image; its name is absent where no tag leads to it
        - `base_digest`, `base_name` (str): what it is built on
        - `shared_layers`, `own_layers` (int64)
        - `shared_size`, `own_size` (Int64, bytes): of these layers, as stored, a repeated one once
        - `base_is_old` (bool)
        - `newer_base` (str): name of the newest comparable base; absent where there is none
    """
    layers = _chained(snap)
    tops = _tops(snap, layers)
    # Nearest first: most shared layers, then for the same platform, then the most steps, then the oldest, so that
    # rebuilds do not take over.
    order = {"shared_layers": False, "same_platform": False, "base_steps": False, "base_created": True}
    candidates = _candidates(layers, tops).sort_values([*order, "base_digest"], ascending=[*order.values(), True])
    nearest = candidates.drop_duplicates("digest")
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


def _chained(snap: Snapshot) -> pd.DataFrame:
    """The layers of images that know all of their ChainIDs, lowest first, with what is below each, itself included."""
    images = snap.manifests.loc[snap.manifests["kind"] == "image", "digest"]
    incomplete = snap.layers.loc[snap.layers["chain_id"].isna(), "digest"]
    layers = snap.layers[snap.layers["digest"].isin(images) & ~snap.layers["digest"].isin(incomplete)]
    layers = layers[["digest", "position", "blob_digest", "chain_id", "size"]]
    layers = layers.astype({"digest": "str", "blob_digest": "str", "chain_id": "str"})
    layers = layers.sort_values(["digest", "position"], ignore_index=True)
    layers["size"] = layers["size"].fillna(0).mask(layers.duplicated(["digest", "blob_digest"]), 0)
    by_image = layers.groupby("digest", sort=False)
    return layers.assign(
        shared_layers=by_image.cumcount() + 1,
        shared_size=by_image["size"].cumsum(),
        n_layers=by_image["size"].transform("size"),
        total_size=by_image["size"].transform("sum"),
    )


def _tops(snap: Snapshot, layers: pd.DataFrame) -> pd.DataFrame:
    """Each image by the ChainID of its topmost layer."""
    steps = snap.history.groupby("digest", observed=True).size().rename("steps")
    steps.index = steps.index.astype("str")
    images = snap.manifests[["digest", "os", "architecture", "variant"]].astype("str")
    images["created"] = snap.manifests["created"]
    tops = layers.drop_duplicates("digest", keep="last")[["digest", "chain_id"]].merge(images, on="digest")
    return tops.assign(steps=tops["digest"].map(steps).fillna(0).astype("int64"))


def _candidates(layers: pd.DataFrame, tops: pd.DataFrame) -> pd.DataFrame:
    """Every image with every image whose layers are at the bottom of it; of those that tie, the oldest."""
    kind = ["chain_id", "steps", "os", "architecture"]
    bases = tops.sort_values(["created", "digest"]).drop_duplicates(kind)[["digest", "created", *kind]]
    pairs = layers.merge(bases.add_prefix("base_"), left_on="chain_id", right_on="base_chain_id")
    pairs = pairs.merge(tops[["digest", "steps", "os", "architecture"]], on="digest")
    same_os, same_architecture = pairs["os"].eq(pairs["base_os"]), pairs["architecture"].eq(pairs["base_architecture"])
    is_below = (pairs["shared_layers"] < pairs["n_layers"]) | (pairs["base_steps"] < pairs["steps"])
    return pairs.assign(same_platform=same_os & same_architecture)[is_below]


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
    tagged = tagged[tagged["created"].notna()].fillna({"os": "", "architecture": "", "variant": ""})
    newest: dict[tuple[str, ...], Any] = {}
    newer: dict[str, Any] = {}
    # From the highest version down, so that the newest seen so far has no lower one.
    images: list[Any] = list(tagged.itertuples())
    for image in sorted(images, key=_by_version, reverse=True):
        line = image.repository, image.family, image.os, image.architecture, image.variant
        best = newest.setdefault(line, image)
        if image.created > best.created:
            newest[line] = image
        elif image.created < best.created and image.chain_id != best.chain_id:
            known = newer.setdefault(image.digest, best)
            newer[image.digest] = max(known, best, key=lambda found: found.created)
    return {digest: f"{found.repository}:{found.tag}" for digest, found in newer.items()}


def _by_version(image: Any) -> tuple[Any, ...]:
    # Digits as text: a tag may hold more of them than a number can be read from.
    numbers = [number.lstrip("0") for number in re.findall(r"\d+", image.tag)]
    return [(len(number), number) for number in numbers], image.created, image.tag, image.repository, image.digest
