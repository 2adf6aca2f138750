"""Layers that a rebuild changed: made by the same instruction on the same layers, with different content."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.fingerprints import ASPECTS, CONTENT, fingerprints
from regscope.analysis.sizes import image_layers
from regscope.analysis.unhashed import told_apart
from regscope.arrays import Bools, Ints, ends_run, sums
from regscope.file_rows import FileRows
from regscope.schema import TIME, Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.spec.build_history import is_of_many_steps
from regscope.spec.instructions import normalised
from regscope.tables import Snapshot

_PLATFORM = ["os", "architecture", "variant"]
_PLACE = ["parent", "instruction", *_PLATFORM]
_SAID = ["kind", "sha256", "link_target", "device"]

BASE_DRIFT = (
    Column("group", "int64", "number of the group of versions, from 1"),
    Column("instruction", "str", "normalised build instruction"),
    Column("parent", "str", "ChainID of the layers below; absent for a first layer"),
    Column("version", "int64", "number of the version in the group, from 1"),
    Column("versions", "int64", "number of versions in the group"),
    Column("layer_digest", "str", "digest of the layer; of several layers of equal content, that of the oldest image"),
    Column("created", TIME, "when the oldest image with the version was built; absent if unknown"),
    Column("size", "int64", "size of the layer as stored (compressed)", "bytes"),
    Column("images", "int64", "number of images with the version"),
    Column("added", "Int64", "number of entries at paths that the previous version lacks; absent for the first"),
    Column("removed", "Int64", "number of entries at paths that only the previous version has; absent for the first"),
    Column("changed", "Int64", "number of entries of other kind, content, link target or device; absent for the first"),
    Column("new_bytes", "Int64", "size of the regular files that were added or changed; absent for the first", "bytes"),
)


@takes_snapshot
@documented(columns=BASE_DRIFT)
def base_drift(snap: Snapshot) -> pd.DataFrame:
    """Versions of layers that the same instruction made on the same layers with different content, and their changes.

    A group has the layers with the same normalised instruction, the same chain of layers below and the same platform.
    First layers have none below: a group may therefore have images of unrelated content that begin with the same
    instruction, such as `ADD file:… in /`. Layers of equal content (see `twins`) are one version. Layers whose files
    were not read, without an instruction of their own, or on layers without a DiffID, are left out.

    Returns:
        One row for each version, the groups with the most stored bytes first, the versions of a group by the build time
        of the oldest image that has them:

        {columns}
    """
    versions = _versions(snap)
    rows = FileRows(snap.files, ["layer_digest", *ASPECTS[CONTENT], "size"])
    changes = _changes(rows, versions["layer_digest"].tolist())
    table = versions.assign(**changes.where(versions["version"] > 1))
    return recast(BASE_DRIFT, table)


def _versions(snap: Snapshot) -> pd.DataFrame:
    """Each version of each group with several versions, oldest first."""
    layers = _placed_layers(snap)
    layers = layers[layers.groupby(_PLACE)["blob_digest"].transform("nunique") > 1]
    content = fingerprints(snap, layers["blob_digest"].unique())[CONTENT]
    layers = layers.assign(content=layers["blob_digest"].map(content))
    layers = layers.sort_values(["created", "digest"], ignore_index=True)
    by_version = layers.groupby([*_PLACE, "content"], sort=False)
    versions = layers.assign(images=by_version["digest"].transform("nunique"))
    versions = versions.drop_duplicates([*_PLACE, "content"])
    by_place = versions.groupby(_PLACE, sort=False)
    versions = versions.assign(
        version=by_place.cumcount() + 1,
        versions=by_place["size"].transform("size"),
        together=by_place["size"].transform("sum"),
    )
    versions = versions[versions["versions"] > 1]
    order = {"together": False, **dict.fromkeys(_PLACE, True), "version": True}
    versions = versions.sort_values([*order], ascending=[*order.values()], ignore_index=True)
    group = versions.groupby(_PLACE, sort=False).ngroup() + 1
    return versions.assign(
        group=group, parent=versions["parent"].mask(versions["parent"] == ""), layer_digest=versions["blob_digest"]
    )


def _placed_layers(snap: Snapshot) -> pd.DataFrame:
    """The layers of images that were read, with the columns of `_PLACE`, which define the group."""
    used = image_layers(snap)
    chain_id = used["chain_id"].astype("str")
    below = chain_id.groupby(used["digest"]).shift().mask(used["position"] == 0, "")
    lines = used["created_by"].dropna().unique()
    by_line = {line: normalised(line) for line in lines if not is_of_many_steps(line)}
    images = snap.manifests[_PLATFORM].astype("str").fillna("")
    images = images.assign(digest=snap.manifests["digest"].astype("str"), created=snap.manifests["created"])
    sizes = snap.unpacked.set_index(snap.unpacked["layer_digest"].astype("str"))["size"]
    used = used.assign(
        parent=below, instruction=used["created_by"].map(by_line).astype("str"), size=used["blob_digest"].map(sizes)
    )
    known = used["parent"].notna() & used["instruction"].notna() & used["size"].notna()
    return used.loc[known, ["digest", "blob_digest", "parent", "instruction", "size"]].merge(images, on="digest")


def _changes(rows: FileRows, layers: list[str]) -> pd.DataFrame:
    """The changes from each layer to the next one in the list, as counts and bytes; the first layer has none."""
    found = [pd.DataFrame(0, columns=["added", "removed", "changed", "new_bytes"], index=range(min(len(layers), 1)))]
    start = 0
    for together in rows.batches(layers):
        end = start + len(together)
        first = max(start - 1, 0)
        found.append(_changes_within(rows, layers[first:end]).iloc[1:])
        start = end
    return pd.concat(found, ignore_index=True).astype("Int64")


def _changes_within(rows: FileRows, layers: list[str]) -> pd.DataFrame:
    """The changes within layers that are read together."""
    frame = told_apart(rows.of(*layers))
    layer = np.repeat(np.arange(len(layers)), [rows.length(name) for name in layers])
    path, value = _numbered(frame, ["path", "whiteout"]), _numbered(frame, _SAID)
    # Of several entries for a path in a layer, the last one counts.
    order = np.lexsort((np.arange(len(frame)), path, layer))
    is_last = ends_run(layer[order], path[order])
    order = order[is_last]
    layer, path, value = layer[order], path[order], value[order]
    size = np.where((frame["kind"] == "file").to_numpy()[order], frame["size"].to_numpy()[order], 0)
    width = int(path.max(initial=0)) + 1
    place = layer * width + path
    before, is_new = _found(place, place - width)
    is_new &= layer > 0
    is_changed = ~is_new & (layer > 0) & (value[before] != value)
    _, is_gone = _found(place, place + width)
    is_gone &= layer < len(layers) - 1
    counts = {
        "added": np.bincount(layer[is_new], minlength=len(layers)),
        "removed": np.bincount(layer[is_gone] + 1, minlength=len(layers)),
        "changed": np.bincount(layer[is_changed], minlength=len(layers)),
    }
    brought = is_new | is_changed
    return pd.DataFrame({**counts, "new_bytes": sums(layer[brought], size[brought], len(layers))})


def _found(places: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    """The position of each of `wanted` in the sorted `places`, and whether it is missing there."""
    at = np.minimum(np.searchsorted(places, wanted), max(len(places) - 1, 0))
    return at, places[at] != wanted


def _numbered(frame: pd.DataFrame, columns: list[str]) -> Ints:
    """For each row, a number that is equal for rows with equal cells in `columns`."""
    numbers = np.zeros(len(frame), dtype=np.int64)
    for column in columns:
        codes, names = pd.factorize(frame[column].astype("str").fillna(""))
        numbers = pd.factorize(numbers * max(len(names), 1) + codes)[0]
    return numbers
