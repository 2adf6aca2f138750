"""Why a manifest stays, or goes: by its tags, and by what holds it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order, ranks
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.relation import Bools, Ints


def keep_reasons(graph: ReferenceGraph, nodes: Ints, tags: Bools, stays: Bools) -> pd.Series[str]:
    """Why each of `nodes` stays: by a tag on it that is none of `tags`, by what leads to it and stays, or by itself."""
    by_tag = "the tag " + _staying_tags(graph, nodes, ~tags) + " stays, on the same manifest"
    by_holder = "it is " + held_by(graph, nodes, stays) + ", which stays"
    return by_tag.fillna(by_holder).fillna("it is kept by itself, without a tag")


def held_by(graph: ReferenceGraph, nodes: Ints, among: Bools) -> pd.Series[str]:
    """For each of `nodes`, one of the nodes `among` that holds it, in words; absent where there is none."""
    position, holder = graph.holders.of(nodes)
    holds = among[holder] & (holder != nodes[position])
    position, holder = position[holds], holder[holds]
    digests = graph.manifests[graph.node_manifest[holder]]
    order = np.lexsort([ranks(digests), position])
    first = order[np.diff(position[order], prepend=-1) > 0]
    is_child = graph.children.holds(holder[first], nodes[position[first]]).astype(np.int64)
    found = pd.Index(["attached to ", "a child of the index "], dtype="str")[is_child] + digests[first]
    return pd.Series(found, index=position[first], dtype="str").reindex(range(len(nodes)))


def _staying_tags(graph: ReferenceGraph, nodes: Ints, staying: Bools) -> pd.Series[str]:
    """For each of `nodes`, the first of the `staying` tags that hold it; absent where there is none."""
    asked = np.zeros(graph.n_nodes + 1, dtype=np.bool_)
    asked[nodes] = True
    rows = np.flatnonzero(asked[graph.tag_node] & graph.tag_is_root & staying)
    tags = pd.DataFrame({"node": graph.tag_node[rows], "tag": graph.snap.tags["tag"].array[rows]})
    ordered = in_order(tags, {"node": "ascending", "tag": "ascending"})
    of_node = ordered["node"].to_numpy()
    firsts = np.flatnonzero(np.diff(of_node, prepend=-1) > 0)
    first = np.full(graph.n_nodes, -1, dtype=np.int64)
    first[of_node[firsts]] = firsts
    return pd.Series(ordered["tag"].array.take(first[nodes], allow_fill=True))
