"""The blobs that are freed when manifests are deleted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order, taken
from regscope.analysis.documented import documented
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.arrays import Bools, Ints, distinct, marked
from regscope.schema import Column, recast


def freed_blobs(graph: ReferenceGraph, gone: Bools) -> Ints:
    """The blobs that the placements `gone` use and no other placement uses.

    Of the images A, B and C of `regscope.analysis.sharing`, A and B are deleted:

        blob                         used by deleted  used by kept | freed
        manifests and configs A, B   yes              no           | yes
        x, y                         yes              no           | yes
        z                            yes              yes, by C    | no
    """
    return np.flatnonzero(_used(graph, gone) & ~_used(graph, ~gone))


def _used(graph: ReferenceGraph, nodes: Bools) -> Bools:
    """For each blob, whether one of `nodes` uses it."""
    _, blobs = graph.spared.of(distinct(graph.node_manifest[nodes]))
    return marked(blobs, len(graph.blobs))


def largest_first(graph: ReferenceGraph, blobs: Ints) -> Ints:
    """These blobs, the largest first, then by digest."""
    table = pd.DataFrame({"blob": blobs, "size": graph.blob_size[blobs], "digest": graph.blobs[blobs]})
    ordered: Ints = in_order(table, {"size": "descending", "digest": "ascending"})["blob"].to_numpy()
    return ordered


FREED_BLOBS = (
    Column("digest", "str", "digest of the blob"),
    Column("kind", "category", "layer, config or manifest"),
    Column("size", "int64", "size as stored", "bytes"),
)


@documented(columns=FREED_BLOBS)
def blob_table(graph: ReferenceGraph, blobs: Ints) -> pd.DataFrame:
    """The table of these blobs, in the given order.

    Returns:
        One row for each blob:

        {columns}
    """
    table = pd.DataFrame(
        {
            "digest": graph.blobs[blobs],
            "kind": taken(graph.snap.blobs["kind"], blobs),
            "size": graph.blob_size[blobs],
        }
    )
    return recast(FREED_BLOBS, table)
