"""The order in which manifests are deleted, and the bytes that each step frees."""

from __future__ import annotations

import numpy as np

from regscope.analysis.reference_graph import ReferenceGraph
from regscope.arrays import Bools, Ints, greatest, scattered, sums

_DEEPEST = 64  # levels; only a ring of attachments has more


def deletion_order(graph: ReferenceGraph, gone: Bools, first: Ints) -> Ints:
    """The nodes to delete, in the order of their deletion.

    They are ordered by repository; in a repository, related manifests are next to each other, and groups of those in
    `first` come before the others. An index comes before its children, a subject before its referrers. If a run stops
    at any step, no index is left without a child, and no image without its signature.

    The indexes 1.0 and 1.1 of one repository, and an image 2.0; `first` are 2.0 and 1.0, in this order:

        manifest  held by   group  level | order
        2.0       -         0      0     | 1st
        1.0       -         1      0     | 2nd
        a         1.0       1      1     | 3rd
        1.1       -         2      0     | 4th: it is not in `first`
        b         1.0, 1.1  2      1     | 5th: after the last of its holders
    """
    place = scattered(np.arange(len(first)), first, graph.n_nodes, absent=len(first))
    left, right = graph.onward.left, graph.onward.right
    inner = gone[left] & gone[right] & (left != right)
    left, right = left[inner], right[inner]
    group, level = np.where(gone, place, 0), np.zeros(graph.n_nodes, dtype=np.int64)
    group[right] = 0  # it is deleted after the last of its holders
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
    """For each node of `order`, the bytes of those blobs in `freed` of which it is the last node that needs them."""
    position, blob = graph.spared.of(graph.node_manifest[order])
    last = greatest(blob, position, len(graph.blobs), absent=-1)
    return sums(last[freed], graph.blob_size[freed], len(order))


def users_of_each(graph: ReferenceGraph, order: Ints) -> Ints:
    """For each blob, the number of nodes in `order` that need it."""
    _, blob = graph.spared.of(graph.node_manifest[order])
    return np.bincount(blob, minlength=len(graph.blobs)).astype(np.int64)
