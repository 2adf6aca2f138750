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
    Column("repository", "str", "full name of the repository"),
    Column("digest", "str", "digest of the manifest"),
    Column("kind", "category", "image, index, artifact or schema1"),
    Column("tags", "str", "tags on the manifest, separated by commas; empty if it has none"),
)

KEPT = (
    Column("repository", "str", "full name of the repository"),
    Column("tag", "str", "tag that `delete` names; absent for a manifest that is named by digest"),
    Column("digest", "str", "digest of the manifest"),
    Column("reason", "str", "why the manifest is kept"),
)


@documented(blobs=FREED_BLOBS, gone=GONE, kept=KEPT)
@dataclass(frozen=True, repr=False)
class WhatIf:
    """The result of `what_if`: manifests that would be deleted, those named but kept, and the bytes freed.

    Attributes:
        freed_bytes: bytes of blob data that the registry's next garbage collection would remove.
        at_most: whether `freed_bytes` is an upper bound: where the store does not list untagged manifests, or only a
            part of the registry was scanned, a manifest outside of the snapshot may still use a blob.
        blobs: the blobs that would be freed, largest first:

            {blobs}
        gone: the manifests that would be deleted, by repository and digest:

            {gone}
        kept: tags and manifests that are named but would be kept, by repository, tag and digest:

            {kept}
    """

    freed_bytes: int
    at_most: bool
    blobs: pd.DataFrame
    gone: pd.DataFrame
    kept: pd.DataFrame

    def facts(self) -> dict[str, str]:
        """The result as labelled lines of text."""
        exact = f" ({self.freed_bytes:,} bytes)" if self.freed_bytes >= 1000 else ""
        bound = "at most " if self.at_most else ""
        return {
            "freed": f"{bound}{text.size(self.freed_bytes)}{exact}",
            "blobs": f"{len(self.blobs):,}",
            "manifests": f"{len(self.gone):,}",
            "named but kept": f"{len(self.kept):,}",
        }

    def notes(self) -> list[str]:
        """Remarks on the limits of the result."""
        notes = ["The storage is freed by the registry's next garbage collection."]
        if self.at_most:
            notes.append("This is an upper bound: manifests outside of the snapshot may still use some of these blobs.")
        return notes

    def __repr__(self) -> str:
        return text.facts("If deleted", self.facts(), self.notes())

    def _repr_html_(self) -> str:
        rows = self.kept.astype(object).head(10).itertuples(index=False)
        columns = tuple(self.kept.columns) if len(self.kept) else ()
        return text.card("If deleted", self.facts(), self.notes(), columns, rows if columns else ())


@takes_snapshot
def what_if(snap: Snapshot, *, delete: Selection) -> WhatIf:
    """The manifests and bytes that deleting all of `delete` at once would remove.

    The result is for the whole set: of two tags on one image, deleting one frees nothing, deleting both frees the
    image. Deleting an index deletes its children, and deleting an image its signatures and SBOMs, unless something that
    is kept holds them. A child of a kept index, and a referrer of a kept image, are kept.

    Args:
        snap: a snapshot of the whole registry, because repositories share blobs.
        delete: `repository`, `repository:tag`, `repository@digest` or digests, where names and tags may be globs; or
            a table with the columns `repository`, `tag` and `digest`, such as the result of `stale`.

    Raises:
        InvalidInput: an item of `delete` matches nothing.
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
    """The tags on each of `nodes`, sorted and separated by commas; empty for a node without tags."""
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
