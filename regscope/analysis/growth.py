"""Growth of a registry from one snapshot to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.relation import Relation
from regscope.schema import TIME, Column, table_of
from regscope.snapshot_argument import as_snapshots
from regscope.tables import Snapshot

GROWTH = (
    Column("taken_at", TIME, "when the snapshot was taken"),
    Column("level", "category", "registry or repository"),
    Column("repository", "str", "full name of the repository; absent for the registry"),
    Column("tags", "int64", "number of tags"),
    Column("manifests", "int64", "number of manifests"),
    Column("stored", "int64", "size of the distinct blobs", "bytes"),
    Column("added", "Int64", "size of the blobs added since the previous snapshot; absent in the first", "bytes"),
    Column("removed", "Int64", "size of the blobs removed since the previous snapshot; absent in the first", "bytes"),
)


@documented(columns=GROWTH)
def growth(snapshots: Sequence[Snapshot]) -> pd.DataFrame:
    """Tags, manifests and bytes of the registry and of each repository, for each snapshot.

    Returns:
        One row for each snapshot and level, by time, the registry before its repositories:

        {columns}
    """
    rows = []
    before: dict[str | None, dict[str, int]] | None = None
    for snap in sorted(as_snapshots(snapshots), key=lambda snap: snap.taken_at):
        now = _blobs_by_repository(snap)
        tags, manifests = snap.tags["repository"].value_counts(), snap.placements["repository"].value_counts()
        for name in [None, *sorted({*now, *(before or {})} - {None})]:  # type: ignore[type-var]
            blobs = now.get(name, {})
            counts = (
                (len(snap.tags), len(snap.manifests)) if name is None else (tags.get(name, 0), manifests.get(name, 0))
            )
            rows.append(
                (snap.taken_at, "repository" if name else "registry", name, *counts, *_change(before, name, blobs))
            )
        before = now
    table = table_of(GROWTH, rows)
    return table.assign(level=table["level"].cat.set_categories(["registry", "repository"]))


def _change(
    before: dict[str | None, dict[str, int]] | None, name: str | None, blobs: dict[str, int]
) -> tuple[int, int | None, int | None]:
    stored = sum(blobs.values())
    if before is None:
        return stored, None, None
    old = before.get(name, {})
    added = sum(size for digest, size in blobs.items() if digest not in old)
    removed = sum(size for digest, size in old.items() if digest not in blobs)
    return stored, added, removed


def _blobs_by_repository(snap: Snapshot) -> dict[str | None, dict[str, int]]:
    """The blobs of each repository, and under None those of the registry: sizes by digest."""
    graph = ReferenceGraph(snap)
    source, blob = graph.contents.of(graph.node_manifest)
    owned = Relation(graph.node_repository[source], blob, len(graph.repositories), len(graph.blobs))
    sizes = graph.blob_size
    found: dict[str | None, dict[str, int]] = {None: dict(zip(graph.blobs, sizes.tolist(), strict=True))}
    found |= {name: {} for name in snap.tags["repository"].astype("str").unique()}  # some have no readable manifest
    for number, name in enumerate(graph.repositories):
        _, mine = owned.of(np.array([number]))
        found[name] = dict(zip(graph.blobs[mine], sizes[mine].tolist(), strict=True))
    return found
