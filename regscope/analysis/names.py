"""The names of manifests: the tags that refer to them, directly or through an index."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.schema import Column, recast
from regscope.tables import Snapshot

TAGGED_MANIFESTS = (
    Column("repository", "str", "full name of the repository"),
    Column("tag", "str", "name of the tag"),
    Column("digest", "str", "digest of a manifest that the tag refers to"),
    Column("is_direct", "bool", "whether the tag points to the manifest itself, not to an index that contains it"),
)


@documented(columns=TAGGED_MANIFESTS)
def tagged_manifests(snap: Snapshot) -> pd.DataFrame:
    """Each tag with each manifest that it refers to, directly or through an index.

    Returns:
        One row for each pair, by repository, tag and digest, without fallback and cosign tags (`sha256-…`):

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
    """One name `repository:tag` for each tagged manifest, indexed by digest; direct tags are preferred."""
    named = tagged_manifests(snap).sort_values("is_direct", ascending=False, kind="stable")
    first = named.drop_duplicates("digest").set_index("digest")
    return (first["repository"] + ":" + first["tag"]).astype("str")
