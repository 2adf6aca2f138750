"""Which blobs come back when manifests go."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order, taken
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.relation import Bools, Ints, distinct


def freed_blobs(graph: ReferenceGraph, gone: Bools) -> Ints:
    """The blobs that no placement which stays still uses."""
    return np.flatnonzero(_used(graph, gone) & ~_used(graph, ~gone))


def _used(graph: ReferenceGraph, nodes: Bools) -> Bools:
    """For each blob, whether one of `nodes` uses it."""
    used = np.zeros(len(graph.blobs), dtype=np.bool_)
    _, blobs = graph.spared.of(distinct(graph.node_manifest[nodes]))
    used[blobs] = True
    return used


def largest_first(graph: ReferenceGraph, blobs: Ints) -> Ints:
    """These blobs, the largest first, and by their digests where they are of one size."""
    table = pd.DataFrame({"blob": blobs, "size": graph.blob_size[blobs], "digest": graph.blobs[blobs]})
    ordered: Ints = in_order(table, {"size": "descending", "digest": "ascending"})["blob"].to_numpy()
    return ordered


def blob_table(graph: ReferenceGraph, blobs: Ints) -> pd.DataFrame:
    """These blobs in their order: `digest` (str), `kind` (category), `size` (int64, bytes)."""
    return pd.DataFrame(
        {
            "digest": graph.blobs[blobs],
            "kind": taken(graph.snap.blobs["kind"], blobs),
            "size": graph.blob_size[blobs],
        }
    )
