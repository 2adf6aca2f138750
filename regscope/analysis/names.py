"""What people call a manifest: the tags that lead to it."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.reference_graph import ReferenceGraph
from regscope.tables import Snapshot


def tagged_manifests(snap: Snapshot) -> pd.DataFrame:
    """Each tag with each manifest that it names, directly or through an index.

    Returns:
        By repository, tag and digest: `repository`, `tag`, `digest` (str) and `is_direct` (bool: not through an
        index). Tags that are about another manifest (`sha256-…`) are left out.
    """
    graph = ReferenceGraph(snap)
    rows = graph.tag_is_root.nonzero()[0]
    position, node = graph.children.closure(graph.tag_node[rows])
    tags = snap.tags.iloc[rows[position]]
    table = pd.DataFrame(
        {
            "repository": tags["repository"].astype("str").to_numpy(),
            "tag": tags["tag"].to_numpy(),
            "digest": graph.manifests[graph.node_manifest[node]],
            "is_direct": graph.tag_node[rows[position]] == node,
        }
    ).astype({"repository": "str", "tag": "str", "digest": "str"})
    return table.sort_values(["repository", "tag", "digest"], ignore_index=True)


def image_names(snap: Snapshot) -> pd.Series[str]:
    """One name for each manifest that a tag leads to: `repository:tag`, the first that is direct; by digest."""
    named = tagged_manifests(snap).sort_values("is_direct", ascending=False, kind="stable")
    first = named.drop_duplicates("digest").set_index("digest")
    return (first["repository"] + ":" + first["tag"]).astype("str")
