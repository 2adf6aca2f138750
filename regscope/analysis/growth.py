"""How a registry grew from one snapshot to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.relation import Relation
from regscope.schema import TIME
from regscope.snapshot_argument import as_snapshots
from regscope.tables import Snapshot

_COLUMNS = ["taken_at", "level", "repository", "tags", "manifests", "stored", "added", "removed"]


def growth(snapshots: Sequence[Snapshot]) -> pd.DataFrame:
    """Tags, manifests and bytes of the registry and of each repository, snapshot by snapshot.

    Returns:
        In order of time, the registry before its repositories:

        - `taken_at` (UTC), `level` (category: registry or repository), `repository` (str, absent for the registry)
        - `tags`, `manifests` (int64)
        - `stored` (int64, bytes): distinct blobs
        - `added`, `removed` (Int64, bytes): blobs that came and went since the snapshot before; absent in the first
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
    table = pd.DataFrame(rows, columns=_COLUMNS)
    integers = {"tags": "int64", "manifests": "int64", "stored": "int64", "added": "Int64", "removed": "Int64"}
    table["taken_at"] = pd.to_datetime(table["taken_at"], utc=True)
    table["level"] = pd.Categorical(table["level"], categories=["registry", "repository"])
    return table.astype({"taken_at": TIME, "repository": "str", **integers})


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
    """Sizes by digest, of each repository and (under None) of them all."""
    graph = ReferenceGraph(snap)
    source, blob = graph.contents.of(graph.node_manifest)
    owned = Relation(graph.node_repository[source], blob, len(graph.repositories), len(graph.blobs))
    sizes = graph.blob_size
    found: dict[str | None, dict[str, int]] = {None: dict(zip(graph.blobs, sizes.tolist(), strict=True))}
    found |= {name: {} for name in snap.tags["repository"].astype("str").unique()}  # one may have nothing readable
    for number, name in enumerate(graph.repositories):
        _, mine = owned.of(np.array([number]))
        found[name] = dict(zip(graph.blobs[mine], sizes[mine].tolist(), strict=True))
    return found
