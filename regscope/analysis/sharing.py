"""Shared and exclusive bytes of repositories, tags and images."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order, strings
from regscope.analysis.documented import documented
from regscope.analysis.names import tagged_manifests
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.relation import Relation
from regscope.arrays import Ints, distinct_pairs, sums
from regscope.schema import TIME, Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

_LEVELS = ["registry", "repository", "tag", "image"]
_NAMES = ["repository", "tag", "digest"]


SHARING = (
    Column("level", "category", "registry, repository, tag or image"),
    Column("repository", "str", "name of the repository; absent on the levels registry and image"),
    Column("tag", "str", "name of the tag; absent on all levels but tag, and for untagged manifests"),
    Column("digest", "str", "digest of the manifest; absent on the levels registry and repository"),
    Column("total", "int64", "size of its blobs, each counted once for each of its manifests that use it", "bytes"),
    Column("unique", "int64", "size of its distinct blobs", "bytes"),
    Column("shared", "int64", "the part of `unique` that other rows of the same level use as well", "bytes"),
    Column(
        "exclusive",
        "int64",
        "the part of `unique` that no other row of the same level uses; for a tag or a repository exactly the bytes "
        "that deleting it alone frees",
        "bytes",
    ),
    Column("dedup_ratio", "float64", "layer bytes, once for every image, over distinct layer bytes; 1.0: no sharing"),
)


@takes_snapshot
@documented(columns=SHARING)
def sharing(snap: Snapshot) -> pd.DataFrame:
    """Exclusive and shared bytes of the registry, and of each repository, tag and image.

    A tag includes the platforms of its index, and their signatures, SBOMs and other referrers. Manifests that no tag
    keeps are listed on the level `tag` with the tag absent, where the store lists them.

    Returns:
        One row for each of them, by level in the order above, then in descending order of `exclusive`:

        {columns}
    """
    graph = ReferenceGraph(snap)
    levels = [_registry(graph), _repositories(graph), _tags(graph), _images(graph)]
    return recast(SHARING, pd.concat(levels, ignore_index=True))


def _registry(graph: ReferenceGraph) -> pd.DataFrame:
    every = np.arange(len(graph.manifests), dtype=np.int64)
    return _described(_measured(graph, np.zeros_like(every), every, 1), "registry")


def _repositories(graph: ReferenceGraph) -> pd.DataFrame:
    measured = _measured(graph, graph.node_repository, graph.node_manifest, len(graph.repositories))
    return _described(measured, "repository", repository=graph.repositories)


def _tags(graph: ReferenceGraph) -> pd.DataFrame:
    tags = graph.snap.tags[graph.tag_is_root]
    alone = graph.snap.placements[graph.is_untagged]
    roots = np.concatenate([graph.tag_node[graph.tag_is_root], np.flatnonzero(graph.is_untagged)])
    entity, node = graph.onward.closure(roots)
    measured = _measured(graph, entity, graph.node_manifest[node], len(roots))
    return _described(
        measured,
        "tag",
        repository=strings(tags["repository"]).append(strings(alone["repository"])),
        tag=pd.Index(tags["tag"]).append(pd.Index([None] * len(alone), dtype="str")),
        digest=strings(tags["digest"]).append(strings(alone["digest"])),
    )


def _images(graph: ReferenceGraph) -> pd.DataFrame:
    every = np.arange(len(graph.manifests), dtype=np.int64)
    is_image = graph.snap.is_image.to_numpy()
    measured = _measured(graph, every, every, len(every))[is_image].reset_index(drop=True)
    return _described(measured, "image", digest=graph.manifests[is_image])


def _measured(graph: ReferenceGraph, entity: Ints, manifest: Ints, n_entities: int) -> pd.DataFrame:
    """The sizes of `n_entities` entities, each a set of manifests; the pairs of `entity` and `manifest` say which.

    Entity 0 has the images A and B, entity 1 has C; A has the layers x (100 bytes) and y (20), B has x and z (3),
    C has z. Manifests take 10 bytes and configs 7 each:

        entity  total                     unique                exclusive          dedup_ratio
        0       257 = 2 × 17 + 120 + 103  157 = 34 + x + y + z  154: C has z too   223 / 123
        1       20 = 17 + 3               20                    17                 1
    """
    entity, manifest = distinct_pairs(entity, manifest, len(graph.manifests))
    position, blob = graph.contents.of(manifest)
    owner = entity[position]
    size = graph.blob_size[blob]
    layer_total = sums(owner, np.where(graph.is_layer[blob], size, 0), n_entities)
    total = sums(owner, size, n_entities)
    owned = Relation(owner, blob, n_entities, len(graph.blobs))
    sharers = np.bincount(owned.right, minlength=len(graph.blobs))
    size = graph.blob_size[owned.right]
    unique = sums(owned.left, size, n_entities)
    exclusive = sums(owned.left, np.where(sharers[owned.right] == 1, size, 0), n_entities)
    layer_unique = sums(owned.left, np.where(graph.is_layer[owned.right], size, 0), n_entities)
    return pd.DataFrame(
        {
            "total": total,
            "unique": unique,
            "shared": unique - exclusive,
            "exclusive": exclusive,
            "dedup_ratio": np.divide(layer_total, layer_unique, out=np.ones(n_entities), where=layer_unique > 0),
        }
    )


def _described(measured: pd.DataFrame, level: str, **names: pd.Index[str]) -> pd.DataFrame:
    described = pd.DataFrame(names, index=measured.index, columns=_NAMES, dtype="str")
    numbers = np.full(len(measured), _LEVELS.index(level))
    levels = pd.Series(pd.Categorical.from_codes(numbers, pd.Index(_LEVELS)), index=measured.index, name="level")
    table = pd.concat([levels, described, measured], axis=1)
    return in_order(table, {"exclusive": "descending", **dict.fromkeys(_NAMES, "ascending")})


TAG_WEIGHTS = (
    Column("repository", "str", "full name of the repository"),
    Column("tag", "str", "name of the tag"),
    Column("digest", "str", "digest of the manifest that the tag points to"),
    Column("unique", "Int64", "size of its distinct blobs; absent for a tag attached to another manifest", "bytes"),
    Column("exclusive", "Int64", "size of the blobs freed by deleting this tag alone; absent if `unique` is", "bytes"),
    Column("created", TIME, "when the newest image of the tag was built; absent if unknown"),
)


@documented(columns=TAG_WEIGHTS)
def tag_weights(snap: Snapshot) -> pd.DataFrame:
    """Every tag with its size and the build time of its newest image.

    Returns:
        One row for each tag, by repository and tag:

        {columns}
    """
    names = ["repository", "tag", "digest"]
    weights = _tags(ReferenceGraph(snap))
    weights = weights.loc[weights["tag"].notna(), [*names, "unique", "exclusive"]]
    created = snap.manifests[["created"]].assign(digest=snap.manifests["digest"].astype("str"))
    newest = tagged_manifests(snap).merge(created, on="digest").groupby(names[:2])["created"].max()
    table = snap.tags[names].astype("str").merge(weights, on=names, how="left")
    table = table.merge(newest.reset_index(), on=names[:2], how="left")
    return recast(TAG_WEIGHTS, table).sort_values(names[:2], ignore_index=True)
