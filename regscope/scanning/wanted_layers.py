"""The layers of a snapshot to read in a file scan: the file system layers of the selected images."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatchcase

import pandas as pd

from regscope.errors import InvalidInput
from regscope.scanning.read_layer import WantedLayer
from regscope.spec.media_types import is_filesystem_layer
from regscope.spec.reference import split_image
from regscope.tables import Snapshot


def wanted_layers(snap: Snapshot, images: str | Sequence[str] | None = None) -> list[WantedLayer]:
    """The distinct layers of the images that `images` names, by default of all images.

    Layers that are served from elsewhere (foreign), and layers that are not file systems, are left out.

    Raises:
        InvalidInput: an item of `images` matches nothing.
    """
    chosen = snap.manifests.loc[snap.is_image, "digest"].astype("str")
    if images is not None:
        chosen = chosen[chosen.isin(_named(snap, [images] if isinstance(images, str) else images))]
    layers = snap.layers[snap.layers["digest"].isin(chosen) & _is_stored_file_system(snap)]
    places = snap.placements.drop_duplicates("digest").set_index("digest")["repository"]
    diff_ids: dict[str, dict[str, None]] = defaultdict(dict)
    found: dict[str, tuple[str, int]] = {}
    columns = ("digest", "blob_digest", "diff_id", "size")
    for manifest, blob, diff_id, size in zip(*(layers[column].astype(object) for column in columns), strict=True):
        if manifest not in places.index:
            continue
        if not pd.isna(diff_id):
            diff_ids[blob][diff_id] = None
        repository, largest = found.get(blob, (places[manifest], 0))
        found[blob] = repository, max(largest, 0 if pd.isna(size) else int(size))  # manifests may state different sizes
    return [WantedLayer(blob, repository, size, tuple(diff_ids[blob])) for blob, (repository, size) in found.items()]


def _is_stored_file_system(snap: Snapshot) -> pd.Series[bool]:
    media_types = snap.layers["media_type"]
    others = [name for name in media_types.cat.categories if not is_filesystem_layer(name)]
    elsewhere = snap.blobs.loc[snap.blobs["foreign"], "digest"]
    return ~(media_types.isin(others) | snap.layers["blob_digest"].isin(elsewhere))


def _named(snap: Snapshot, names: Sequence[str]) -> set[str]:
    """The digests of all manifests that `names` match, including the children of indexes."""
    found: set[str] = set()
    for name in names:
        digests = _one(snap, name)
        if not digests:
            raise InvalidInput(
                f"{name!r} matches nothing in {snap.location}",
                next_step="Give repository, repository:tag or a digest; * matches any characters.",
            )
        found |= digests
    children = snap.platforms[["index_digest", "digest"]].astype("str")
    while True:
        more = set(children.loc[children["index_digest"].isin(found), "digest"]) - found
        if not more:
            return found
        found |= more


def _one(snap: Snapshot, name: str) -> set[str]:
    repository, tag, digest = split_image(f"*@{name}" if re.match(r"sha(256|384|512):", name) else name)
    table = snap.tags if tag is not None else snap.placements
    kept = _matches(table["repository"], repository)
    if tag is not None:
        kept &= _matches(table["tag"], tag)
    if digest is not None:
        kept &= table["digest"] == digest
    return set(table.loc[kept, "digest"].astype("str"))


def _matches(column: pd.Series[str], pattern: str) -> pd.Series[bool]:
    values = column.astype("str")
    return values.isin([value for value in values.unique() if fnmatchcase(value, pattern)])
