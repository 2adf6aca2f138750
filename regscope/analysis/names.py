"""What people call a manifest: the tags that lead to it."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.schema import Column, recast
from regscope.tables import Snapshot

TAGGED_MANIFESTS = (
    Column("repository", "str", "whole name of the repository"),
    Column("tag", "str", "the tag"),
    Column("digest", "str", "digest of a manifest that it names"),
    Column("is_direct", "bool", "whether it points to it, and not to an index of it"),
)


@documented(columns=TAGGED_MANIFESTS)
def tagged_manifests(snap: Snapshot) -> pd.DataFrame:
    """Each tag with each manifest that it names, directly or through an index.

    Returns:
        By repository, tag and digest, without tags that are about another manifest (`sha256-…`):

        {columns}
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
    )
    return recast(TAGGED_MANIFESTS, table).sort_values(["repository", "tag", "digest"], ignore_index=True)


def image_names(snap: Snapshot) -> pd.Series[str]:
    """One name for each manifest that a tag leads to: `repository:tag`, the first that is direct; by digest."""
    named = tagged_manifests(snap).sort_values("is_direct", ascending=False, kind="stable")
    first = named.drop_duplicates("digest").set_index("digest")
    return (first["repository"] + ":" + first["tag"]).astype("str")
