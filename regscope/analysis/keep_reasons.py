"""Why a manifest is kept: by a tag on it, or by a manifest that holds it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order, ranks
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.arrays import Bools, Ints, begins_run, looked_up, marked, scattered


def keep_reasons(graph: ReferenceGraph, nodes: Ints, tags: Bools, stays: Bools) -> pd.Series[str]:
    """Why each of `nodes` is kept: by a tag outside of `tags`, by a kept manifest that holds it, or as untagged."""
    by_tag = "the tag " + _staying_tags(graph, nodes, ~tags) + " stays, on the same manifest"
    by_holder = "it is " + held_by(graph, nodes, stays) + ", which stays"
    return by_tag.fillna(by_holder).fillna("it is kept by itself, without a tag")


def held_by(graph: ReferenceGraph, nodes: Ints, among: Bools) -> pd.Series[str]:
    """For each of `nodes`, one of the nodes `among` that holds it, as text; absent if there is none."""
    position, holder = graph.holders.of(nodes)
    holds = among[holder] & (holder != nodes[position])
    position, holder = position[holds], holder[holds]
    digests = graph.manifests[graph.node_manifest[holder]]
    order = np.lexsort([ranks(digests), position])
    first = order[begins_run(position[order])]
    is_child = graph.children.holds(holder[first], nodes[position[first]]).astype(np.int64)
    found = pd.Index(["attached to ", "a child of the index "], dtype="str")[is_child] + digests[first]
    return pd.Series(found, index=position[first], dtype="str").reindex(range(len(nodes)))


def _staying_tags(graph: ReferenceGraph, nodes: Ints, staying: Bools) -> pd.Series[str]:
    """For each of `nodes`, the first of the `staying` tags on it; absent if there is none."""
    asked = looked_up(marked(nodes, graph.n_nodes), graph.tag_node, absent=False)
    rows = np.flatnonzero(asked & graph.tag_is_root & staying)
    tags = pd.DataFrame({"node": graph.tag_node[rows], "tag": graph.snap.tags["tag"].array[rows]})
    ordered = in_order(tags, {"node": "ascending", "tag": "ascending"})
    of_node = ordered["node"].to_numpy()
    firsts = np.flatnonzero(begins_run(of_node))
    first = scattered(firsts, of_node[firsts], graph.n_nodes, absent=-1)
    return pd.Series(ordered["tag"].array.take(first[nodes], allow_fill=True))
