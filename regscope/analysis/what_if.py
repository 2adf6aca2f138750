"""What deleting a set of tags, manifests or repositories would free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regscope import text
from regscope.analysis.columns import in_order, taken
from regscope.analysis.documented import documented
from regscope.analysis.freed import FREED_BLOBS, blob_table, freed_blobs, largest_first
from regscope.analysis.keep_reasons import keep_reasons
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.selection import Selection, select
from regscope.arrays import Bools, Ints, looked_up, marked, numbered_among
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

GONE = (
    Column("repository", "str", "whole name of the repository"),
    Column("digest", "str", "digest of the manifest"),
    Column("kind", "category", "image, index, artifact or schema1"),
    Column("tags", "str", "the tags that it loses, with commas; empty where it has none"),
)

KEPT = (
    Column("repository", "str", "whole name of the repository"),
    Column("tag", "str", "the tag that was named; absent for a manifest that was named by itself"),
    Column("digest", "str", "digest of the manifest"),
    Column("reason", "str", "why it stays"),
)


@documented(blobs=FREED_BLOBS, gone=GONE, kept=KEPT)
@dataclass(frozen=True, repr=False)
class WhatIf:
    """What would go, what would stay although it was named, and how many bytes come back.

    Attributes:
        freed_bytes: bytes of blob data that the registry's next garbage collection removes.
        at_most: whether that is an upper bound: where manifests without a tag cannot be seen, or only a part was
            scanned, something unseen may still hold a blob.
        blobs: the blobs that go, largest first:

            {blobs}
        gone: the manifests that go, by repository and digest:

            {gone}
        kept: what was named and stays, by repository, tag and digest:

            {kept}
    """

    freed_bytes: int
    at_most: bool
    blobs: pd.DataFrame
    gone: pd.DataFrame
    kept: pd.DataFrame

    def facts(self) -> dict[str, str]:
        """The answer in words."""
        exact = f" ({self.freed_bytes:,} bytes)" if self.freed_bytes >= 1000 else ""
        bound = "at most " if self.at_most else ""
        return {
            "comes back": f"{bound}{text.size(self.freed_bytes)}{exact}",
            "blobs": f"{len(self.blobs):,}",
            "manifests": f"{len(self.gone):,}",
            "stays although named": f"{len(self.kept):,}",
        }

    def notes(self) -> list[str]:
        """What a reader of the answer must know."""
        notes = ["The bytes come back when the registry collects its garbage."]
        if self.at_most:
            notes.append("An upper bound: something that could not be seen may still hold some of these blobs.")
        return notes

    def __repr__(self) -> str:
        return text.facts("If deleted", self.facts(), self.notes())

    def _repr_html_(self) -> str:
        rows = self.kept.astype(object).head(10).itertuples(index=False)
        columns = tuple(self.kept.columns) if len(self.kept) else ()
        return text.card("If deleted", self.facts(), self.notes(), columns, rows if columns else ())


@takes_snapshot
def what_if(snap: Snapshot, *, delete: Selection) -> WhatIf:
    """What deleting all of `delete` at once would free.

    The answer is for the whole set: two tags on one image free nothing one by one, and everything together. An index
    takes its children along, and an image its signatures and SBOMs, unless something that stays holds them. A child of
    an index that stays, and a referrer of an image that stays, are kept.

    Args:
        snap: of the whole registry; blobs are shared across repositories.
        delete: `repository`, `repository:tag`, `repository@digest` or digests, where names and tags may be globs; or
            a table that says so by its columns `repository`, `tag` and `digest`, such as `stale` gives.

    Raises:
        InvalidInput: one of them names nothing.
    """
    graph = ReferenceGraph(snap)
    tags, nodes = select(graph, delete)
    roots = graph.tag_node[graph.tag_is_root & ~tags]
    standing = np.flatnonzero(graph.is_untagged & ~nodes)
    stays = graph.onward.reached(np.concatenate([roots, standing]))
    named = np.concatenate([graph.tag_node[tags & (graph.tag_node >= 0)], np.flatnonzero(nodes)])
    gone = graph.onward.reached(named) & ~stays
    freed = freed_blobs(graph, gone)
    return WhatIf(
        freed_bytes=int(graph.blob_size[freed].sum()),
        at_most=not snap.sees_everything,
        blobs=blob_table(graph, largest_first(graph, freed)),
        gone=_gone(graph, gone),
        kept=_kept(graph, tags, nodes, stays),
    )


def _gone(graph: ReferenceGraph, gone: Bools) -> pd.DataFrame:
    nodes = np.flatnonzero(gone)
    manifests = graph.node_manifest[nodes]
    table = pd.DataFrame(
        {
            "repository": graph.repositories[graph.node_repository[nodes]],
            "digest": graph.manifests[manifests],
            "kind": taken(graph.snap.manifests["kind"], manifests),
            "tags": _tags_on(graph, nodes),
        }
    )
    return in_order(recast(GONE, table), {"repository": "ascending", "digest": "ascending"})


def _tags_on(graph: ReferenceGraph, nodes: Ints) -> pd.Series[str]:
    """The tags on each of `nodes`, in order; empty where there is none."""
    position = looked_up(numbered_among(nodes, graph.n_nodes), graph.tag_node, absent=-1)
    tags = pd.DataFrame({"position": position, "tag": graph.snap.tags["tag"].array})
    tags = in_order(tags[tags["position"] >= 0], {"position": "ascending", "tag": "ascending"})
    starts = tags["position"].searchsorted(np.arange(len(nodes) + 1))
    names = pa.array(pd.Index(tags["tag"]), pa.large_string())
    lists = pa.ListArray.from_arrays(starts.astype(np.int32), names)
    return pd.Series(pc.binary_join(lists, pa.scalar(", ", pa.large_string())).to_pandas(), dtype="str")


def _kept(graph: ReferenceGraph, tags: Bools, nodes: Bools, stays: Bools) -> pd.DataFrame:
    tagged = np.flatnonzero(tags & looked_up(stays, graph.tag_node, absent=False))
    alone = np.flatnonzero(nodes & stays & ~marked(graph.tag_node[tagged], graph.n_nodes))
    named = np.concatenate([graph.tag_node[tagged], alone])
    table = pd.DataFrame(
        {
            "repository": graph.repositories[graph.node_repository[named]],
            "tag": pd.Series(graph.snap.tags["tag"].array[tagged]).reindex(range(len(named))),
            "digest": graph.manifests[graph.node_manifest[named]],
            "reason": keep_reasons(graph, named, tags, stays),
        }
    )
    return in_order(recast(KEPT, table), {"repository": "ascending", "tag": "ascending", "digest": "ascending"})
