"""Content that is stored more than once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regscope.analysis.columns import as_arrow, in_order, numbered, numbered_parts
from regscope.analysis.file_contents import FileContents
from regscope.analysis.history_cost import UNKNOWN
from regscope.analysis.relation import Bools, Ints, Relation, sums
from regscope.analysis.sizes import image_layers
from regscope.snapshot_argument import takes_snapshot
from regscope.spec.instructions import normalised
from regscope.tables import Snapshot


@takes_snapshot
def file_duplicates(snap: Snapshot) -> pd.DataFrame:
    """Content that regular files of distinct layers, or at distinct paths, hold alike, over the whole registry.

    A layer counts once, however many images have it. Empty files are left out; a hardlink is no copy, nor is an entry
    that a later one of the same tar replaces.

    Returns:
        One row for each content with more than one copy, most wasted bytes first:

        - `sha256` (str): of the content, 64 digits
        - `size` (int64, bytes): of one copy
        - `copies` (int64): files that hold it
        - `layers` (int64): distinct layers with such a file
        - `images` (int64): image manifests that have one of these layers
        - `repositories` (int64): repositories where such an image is
        - `wasted` (int64, bytes): all copies but one
        - `wasted_stored` (Int64, bytes): about what these take as stored: every copy by the ratio of its layer, the
          cheapest copy left out; absent if a ratio is unknown
        - `path` (str): of a copy, as an example
        - `name` (str): the most frequent file name
        - `instruction` (str): the build instruction, normalised, that brings most copies; `(no history)` where none
          is recorded
    """
    files = FileContents(snap)
    copies = np.bincount(files.content, minlength=len(files.sha256))
    groups = np.flatnonzero(copies > 1)
    of_group = np.full(len(copies), -1, dtype=np.int64)
    of_group[groups] = np.arange(len(groups))
    is_copy = (copies > 1)[files.content]
    group, layer = of_group[files.content[is_copy]], files.layer[is_copy]
    held = Relation(group, layer, len(groups), len(files.layers))
    used = image_layers(snap)
    images, repositories = _users(snap, used, files.layers)
    path, name = _paths_and_names(files, is_copy, group, len(groups))
    instruction, lines = _instructions(used, files.layers)
    table = pd.DataFrame(
        {
            "sha256": _text(files.sha256.take(pa.array(groups))),
            "size": files.size[groups],
            "copies": copies[groups],
            "layers": np.bincount(held.left, minlength=len(groups)),
            "images": held.union_sizes(images),
            "repositories": held.union_sizes(repositories),
            "wasted": files.size[groups] * (copies[groups] - 1),
            "wasted_stored": _wasted_stored(snap, files, group, layer, groups),
            "path": _text(path),
            "name": _text(name),
            "instruction": _text(lines.take(pa.array(_commonest(group, instruction[layer], len(groups))))),
        }
    )
    return in_order(table, {"wasted": "descending", "sha256": "ascending"})


@takes_snapshot
def dedup_ratios(snap: Snapshot) -> pd.DataFrame:
    """What storing equal things once saves: of whole layers, as registries do, and of files, as none does.

    The two are different things, in different bytes. Layers: as stored (compressed), once for each image that has
    them against once in all. Files: the content (uncompressed) of all regular files of the distinct layers that were
    read, so after layers are shared, against that of each distinct content.

    Returns:
        Two rows: `level` (category: layers or files), `before`, `after` (int64, bytes), `ratio` (float64; absent where
        there are no bytes).
    """
    layers = image_layers(snap).drop_duplicates(["digest", "blob_digest"])
    stored = layers["size"].fillna(0).mask(layers["foreign"], 0).astype("int64")
    files = FileContents(snap)
    before = [stored.sum(), files.size[files.content].sum()]
    after = [stored[~layers["blob_digest"].duplicated()].sum(), files.size.sum()]
    table = pd.DataFrame({"level": ["layers", "files"], "before": before, "after": after})
    table["level"] = pd.Categorical(table["level"], categories=["layers", "files"])
    table = table.astype({"before": "int64", "after": "int64"})
    table["ratio"] = table["before"] / table["after"].where(table["after"] > 0)
    return table


def _users(snap: Snapshot, used: pd.DataFrame, layers: pd.Index[str]) -> tuple[Relation, Relation]:
    """The images and the repositories that have each layer."""
    manifests = pd.Index(snap.manifests["digest"].astype("str"))
    repositories = pd.Index(snap.placements["repository"].astype("str").unique())
    (layer,), (image, placed) = (
        numbered(layers, used["blob_digest"]),
        numbered(manifests, used["digest"], snap.placements["digest"]),
    )
    of_layer = Relation(layer, image, len(layers), len(manifests))
    (repository,) = numbered(repositories, snap.placements["repository"])
    of_image = Relation(placed, repository, len(manifests), len(repositories))
    step, found = of_image.of(of_layer.right)
    return of_layer, Relation(of_layer.left[step], found, len(layers), len(repositories))


def _instructions(used: pd.DataFrame, layers: pd.Index[str]) -> tuple[Ints, pa.Array]:
    """The number of each layer's instruction, as its first image has it, and the instructions."""
    first = used.drop_duplicates("blob_digest").set_index("blob_digest")["created_by"].reindex(layers)
    by_line = {line: normalised(line) or UNKNOWN for line in first.dropna().unique()}
    encoded = as_arrow(first.map(by_line).astype("str").fillna(UNKNOWN)).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _wasted_stored(snap: Snapshot, files: FileContents, group: Ints, layer: Ints, groups: Ints) -> pd.Series[int]:
    read = snap.unpacked.set_index(snap.unpacked["layer_digest"].astype("str")).reindex(files.layers)
    ratios = (read["size"] / read["tar_size"].where(read["tar_size"] > 0)).to_numpy(dtype=np.float64)
    stored = np.nan_to_num(np.rint(files.size[groups][group] * ratios[layer])).astype(np.int64)
    cheapest = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(cheapest, group, stored)
    known = sums(group, np.isnan(ratios[layer]).astype(np.int64), len(groups)) == 0
    return pd.Series(sums(group, stored, len(groups)) - cheapest, dtype="Int64").where(known)


def _paths_and_names(files: FileContents, is_copy: Bools, group: Ints, n_groups: int) -> tuple[pa.Array, pa.Array]:
    """Of each group, the path of the first copy and the most frequent file name."""
    at_copy = np.cumsum(is_copy) - 1
    first = np.full(n_groups, len(group), dtype=np.int64)
    np.minimum.at(first, group, np.arange(len(group)))
    examples, example_groups, names, name_copies = [], [], [], []
    for position, paths in files.paths(is_copy):
        copy = at_copy[position]
        is_first = first[group[copy]] == copy
        examples.append(paths.filter(pa.array(is_first)))
        example_groups.append(group[copy[is_first]])
        names.append(_file_names(paths).dictionary_encode())
        name_copies.append(copy)
    number, texts = numbered_parts(names)
    name = np.zeros(len(group), dtype=np.int64)
    name[np.concatenate([np.array([], dtype=np.int64), *name_copies])] = number
    order = np.argsort(np.concatenate([np.array([], dtype=np.int64), *example_groups]), kind="stable")
    path = pa.chunked_array(examples, pa.large_string()).combine_chunks().take(pa.array(order))
    return path, texts.take(pa.array(_commonest(group, name, n_groups)))


def _commonest(group: Ints, value: Ints, n_groups: int) -> Ints:
    """The most frequent value of each group; of those that tie, the one that comes first."""
    n_values = int(value.max(initial=0)) + 1
    key = group * n_values + value
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    counts, group_of_pair = np.diff(np.append(starts, len(key))), key[starts] // n_values
    first_pairs = np.searchsorted(group_of_pair, np.arange(n_groups))
    most = np.maximum.reduceat(counts, first_pairs)
    is_most = counts == most[group_of_pair]
    return value[np.minimum.reduceat(np.where(is_most, order[starts], len(key)), first_pairs)]


def _file_names(paths: pa.Array) -> pa.Array:
    parts = pc.split_pattern(paths, "/", max_splits=1, reverse=True)
    return parts.values.take(pa.array(parts.offsets.to_numpy()[1:] - 1))


def _text(array: pa.Array) -> pd.Series[str]:
    return pd.Series(pd.array(array, dtype="str"))
