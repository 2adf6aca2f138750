"""Why a manifest stays, or goes: by its tags, and by what holds it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints


def why_they_stay(held: Holdings, nodes: Ints, tags: Bools, stays: Bools) -> pd.Series[str]:
    """Why each of `nodes` stays: by a tag on it that is none of `tags`, by what leads to it and stays, or by itself."""
    by_tag = "the tag " + _staying_tags(held, nodes, ~tags) + " stays, on the same manifest"
    by_holder = "it is " + held_by(held, nodes, stays) + ", which stays"
    return by_tag.fillna(by_holder).fillna("it is kept by itself, without a tag")


def held_by(held: Holdings, nodes: Ints, among: Bools) -> pd.Series[str]:
    """For each of `nodes`, one of the nodes `among` that holds it, in words; absent where there is none."""
    position, holder = held.holders.of(nodes)
    holds = among[holder] & (holder != nodes[position])
    position, holder = position[holds], holder[holds]
    is_child = pd.Series(held.children.holds(holder, nodes[position]))
    words = is_child.map({True: "a child of the index ", False: "attached to "}).astype("str")
    digests = held.manifests[held.node_manifest[holder]]
    found = pd.DataFrame({"position": position, "digest": digests, "words": words + digests})
    first = in_order(found, {"position": "ascending", "digest": "ascending"}).drop_duplicates("position")
    return first.set_index("position")["words"].reindex(range(len(nodes))).astype("str")


def _staying_tags(held: Holdings, nodes: Ints, staying: Bools) -> pd.Series[str]:
    """For each of `nodes`, the first of the `staying` tags that hold it; absent where there is none."""
    asked = np.zeros(held.n_nodes + 1, dtype=np.bool_)
    asked[nodes] = True
    rows = np.flatnonzero(asked[held.tag_node] & held.tag_is_root & staying)
    tags = pd.DataFrame({"node": held.tag_node[rows], "tag": held.snap.tags["tag"].array[rows]})
    first = in_order(tags, {"node": "ascending", "tag": "ascending"}).drop_duplicates("node").set_index("node")
    return first["tag"].reindex(nodes).reset_index(drop=True)
