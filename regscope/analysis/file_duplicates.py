"""File content that is stored more than once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regscope.analysis.columns import as_arrow, in_order, numbered, numbered_parts
from regscope.analysis.documented import documented
from regscope.analysis.file_contents import FileContents
from regscope.analysis.history_cost import UNKNOWN
from regscope.analysis.relation import Relation
from regscope.analysis.sizes import image_layers
from regscope.arrays import Bools, Ints, begins_run, joined, least, numbered_among, scattered, sums
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.spec.instructions import normalised
from regscope.tables import Snapshot

FILE_DUPLICATES = (
    Column("sha256", "str", "SHA-256 of the content, 64 hex digits"),
    Column("size", "int64", "size of one copy", "bytes"),
    Column("copies", "int64", "number of files with this content"),
    Column("layers", "int64", "number of distinct layers with such a file"),
    Column("images", "int64", "number of image manifests with one of these layers"),
    Column("repositories", "int64", "number of repositories with such an image"),
    Column("wasted", "int64", "size of all copies but one, uncompressed", "bytes"),
    Column(
        "wasted_stored",
        "Int64",
        "estimated compressed size of all copies but the smallest, by the compression ratio of each copy's layer; "
        "absent if a ratio is unknown",
        "bytes",
    ),
    Column("path", "str", "path of one copy, as an example"),
    Column("name", "str", "most frequent file name of the copies"),
    Column(
        "instruction",
        "str",
        "normalised build instruction that added most of the copies; `(no history)` if none is recorded",
    ),
)


@takes_snapshot
@documented(columns=FILE_DUPLICATES)
def file_duplicates(snap: Snapshot) -> pd.DataFrame:
    """Content that several regular files have, in different layers or at different paths, over the whole registry.

    A layer counts once, however many images have it. Not counted are empty files, hardlinks, and entries that a later
    entry of the same tar replaces.

    Returns:
        One row for each content with more than one copy, in descending order of `wasted`:

        {columns}
    """
    files = FileContents(snap)
    copies = np.bincount(files.content, minlength=len(files.sha256))
    groups = np.flatnonzero(copies > 1)
    of_group = numbered_among(groups, len(copies))
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
    return in_order(recast(FILE_DUPLICATES, table), {"wasted": "descending", "sha256": "ascending"})


DEDUP_RATIOS = (
    Column("level", "category", "layers or files"),
    Column("before", "int64", "size without deduplication, each copy counted", "bytes"),
    Column("after", "int64", "size with deduplication, equal content counted once", "bytes"),
    Column("ratio", "float64", "`before` divided by `after`; absent if there are no bytes"),
)


@takes_snapshot
@documented(columns=DEDUP_RATIOS)
def dedup_ratios(snap: Snapshot) -> pd.DataFrame:
    """Deduplication ratios: of layers, which registries store once, and of files, which registries do not deduplicate.

    The two ratios measure different bytes. Layers: the stored (compressed) size, counted once for each image, compared
    to each distinct layer once. Files: the uncompressed size of all regular files of the distinct layers that were
    read (layers are already deduplicated), compared to each distinct content once.

    Returns:
        One row for layers, and one for files:

        {columns}
    """
    layers = image_layers(snap).drop_duplicates(["digest", "blob_digest"])
    stored = layers["size"].fillna(0).mask(layers["foreign"], 0).astype("int64")
    files = FileContents(snap)
    before = [stored.sum(), files.size[files.content].sum()]
    after = [stored[~layers["blob_digest"].duplicated()].sum(), files.size.sum()]
    table = pd.DataFrame({"level": ["layers", "files"], "before": before, "after": after})
    table["level"] = pd.Categorical(table["level"], categories=["layers", "files"])
    table["ratio"] = table["before"] / table["after"].where(table["after"] > 0)
    return recast(DEDUP_RATIOS, table)


def _users(snap: Snapshot, used: pd.DataFrame, layers: pd.Index[str]) -> tuple[Relation, Relation]:
    """Two relations: layers to the images that have them, and layers to the repositories of these images."""
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
    """The number of each layer's instruction, taken from its first image; and the instructions by number."""
    first = used.drop_duplicates("blob_digest").set_index("blob_digest")["created_by"].reindex(layers)
    by_line = {line: normalised(line) or UNKNOWN for line in first.dropna().unique()}
    encoded = as_arrow(first.map(by_line).astype("str").fillna(UNKNOWN)).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _wasted_stored(snap: Snapshot, files: FileContents, group: Ints, layer: Ints, groups: Ints) -> pd.Series[int]:
    read = snap.unpacked.set_index(snap.unpacked["layer_digest"].astype("str")).reindex(files.layers)
    ratios = (read["size"] / read["tar_size"].where(read["tar_size"] > 0)).to_numpy(dtype=np.float64)
    stored = np.nan_to_num(np.rint(files.size[groups][group] * ratios[layer])).astype(np.int64)
    cheapest = least(group, stored, len(groups), absent=np.iinfo(np.int64).max)
    known = sums(group, np.isnan(ratios[layer]).astype(np.int64), len(groups)) == 0
    return pd.Series(sums(group, stored, len(groups)) - cheapest, dtype="Int64").where(known)


def _paths_and_names(files: FileContents, is_copy: Bools, group: Ints, n_groups: int) -> tuple[pa.Array, pa.Array]:
    """For each group, the path of its first copy and its most frequent file name."""
    at_copy = np.cumsum(is_copy) - 1
    first = least(group, np.arange(len(group)), n_groups, absent=len(group))
    examples, example_groups, names, name_copies = [], [], [], []
    for position, paths in files.paths(is_copy):
        copy = at_copy[position]
        is_first = first[group[copy]] == copy
        examples.append(paths.filter(pa.array(is_first)))
        example_groups.append(group[copy[is_first]])
        names.append(_file_names(paths).dictionary_encode())
        name_copies.append(copy)
    number, texts = numbered_parts(names)
    name = scattered(number, joined(name_copies), len(group), absent=0)
    order = np.argsort(joined(example_groups), kind="stable")
    path = pa.chunked_array(examples, pa.large_string()).combine_chunks().take(pa.array(order))
    return path, texts.take(pa.array(_commonest(group, name, n_groups)))


def _commonest(group: Ints, value: Ints, n_groups: int) -> Ints:
    """The most frequent value of each group; of equally frequent values, the first one. No group may be empty.

    >>> _commonest(np.array([0, 1, 0, 0, 1]), np.array([7, 9, 8, 8, 6]), 2)
    array([8, 9])
    """
    n_values = int(value.max(initial=0)) + 1
    key = group * n_values + value
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(begins_run(key))
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
