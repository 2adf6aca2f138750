"""In which order manifests are deleted, and what each step gives back."""

from __future__ import annotations

import numpy as np

from regscope.analysis.reference_graph import ReferenceGraph
from regscope.arrays import Bools, Ints, greatest, scattered, sums

_DEEPEST = 64  # levels; only a ring of attachments has more


def deletion_order(graph: ReferenceGraph, gone: Bools, first: Ints) -> Ints:
    """The nodes that go, in the order in which they are deleted.

    Each repository by itself; in it what belongs together stands together, those that were named `first` before the
    others; what holds comes before what it holds: an index before its children, a subject before its referrers. Cut
    off anywhere, no index is left without a child and no image without its signature.

    The indexes 1.0 and 1.1 of one repository, and an image 2.0; `first` are 2.0 and 1.0, in this order:

        manifest  held by   group  level | order
        2.0       -         0      0     | 1st
        1.0       -         1      0     | 2nd
        a         1.0       1      1     | 3rd
        1.1       -         2      0     | 4th: it was not named
        b         1.0, 1.1  2      1     | 5th: with the last of what holds it
    """
    place = scattered(np.arange(len(first)), first, graph.n_nodes, absent=len(first))
    left, right = graph.onward.left, graph.onward.right
    inner = gone[left] & gone[right] & (left != right)
    left, right = left[inner], right[inner]
    group, level = np.where(gone, place, 0), np.zeros(graph.n_nodes, dtype=np.int64)
    group[right] = 0  # it goes with the last of what holds it
    for _ in range(_DEEPEST):
        before = group.copy(), level.copy()
        np.maximum.at(group, right, before[0][left])
        np.maximum.at(level, right, before[1][left] + 1)
        if (group == before[0]).all() and (level == before[1]).all():
            break
    nodes = np.flatnonzero(gone)
    digests, names = (
        graph.manifest_rank[graph.node_manifest[nodes]],
        graph.repository_rank[graph.node_repository[nodes]],
    )
    return nodes[np.lexsort([digests, level[nodes], group[nodes], names])]


def freed_by_each(graph: ReferenceGraph, order: Ints, freed: Ints) -> Ints:
    """For each node of `order`, the bytes of the blobs of `freed` that nothing needs any more once it is gone."""
    position, blob = graph.spared.of(graph.node_manifest[order])
    last = greatest(blob, position, len(graph.blobs), absent=-1)
    return sums(last[freed], graph.blob_size[freed], len(order))


def users_of_each(graph: ReferenceGraph, order: Ints) -> Ints:
    """For each blob, how many of the nodes of `order` need it."""
    _, blob = graph.spared.of(graph.node_manifest[order])
    return np.bincount(blob, minlength=len(graph.blobs)).astype(np.int64)
