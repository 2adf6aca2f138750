"""What deleting a set of tags, manifests or repositories would free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regscope import text
from regscope.analysis.columns import in_order, taken
from regscope.analysis.freed import blob_table, freed_blobs, largest_first
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints
from regscope.analysis.selection import Selection, select
from regscope.analysis.staying import why_they_stay
from regscope.tables import Snapshot


@dataclass(frozen=True, repr=False)
class WhatIf:
    """What would go, what would stay although it was named, and how many bytes come back.

    Attributes:
        freed_bytes: bytes of blob data that the registry's next garbage collection removes.
        at_most: whether that is an upper bound: where manifests without a tag cannot be seen, or only a part was
            scanned, something unseen may still hold a blob.
        blobs: the blobs that go: `digest` (str), `kind` (category), `size` (int64, bytes), largest first.
        gone: the manifests that go: `repository`, `digest`, `kind`, `tags` (str: those that it loses).
        kept: what was named and stays: `repository`, `tag`, `digest`, `reason` (str).
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
    held = Holdings(snap)
    tags, nodes = select(held, delete)
    roots = held.tag_node[held.tag_is_root & ~tags]
    standing = np.flatnonzero(held.is_untagged & ~nodes)
    stays = held.onward.reached(np.concatenate([roots, standing]))
    named = np.concatenate([held.tag_node[tags & (held.tag_node >= 0)], np.flatnonzero(nodes)])
    gone = held.onward.reached(named) & ~stays
    freed = freed_blobs(held, gone)
    return WhatIf(
        freed_bytes=int(held.blob_size[freed].sum()),
        at_most=not snap.sees_everything,
        blobs=blob_table(held, largest_first(held, freed)),
        gone=_gone(held, gone),
        kept=_kept(held, tags, nodes, stays),
    )


def _gone(held: Holdings, gone: Bools) -> pd.DataFrame:
    nodes = np.flatnonzero(gone)
    manifests = held.node_manifest[nodes]
    table = pd.DataFrame(
        {
            "repository": held.repositories[held.node_repository[nodes]],
            "digest": held.manifests[manifests],
            "kind": taken(held.snap.manifests["kind"], manifests),
            "tags": _tags_on(held, nodes),
        }
    )
    return in_order(table, {"repository": "ascending", "digest": "ascending"})


def _tags_on(held: Holdings, nodes: Ints) -> pd.Series[str]:
    """The tags on each of `nodes`, in order; empty where there is none."""
    position = np.full(held.n_nodes + 1, -1)
    position[nodes] = np.arange(len(nodes))
    tags = pd.DataFrame({"position": position[held.tag_node], "tag": held.snap.tags["tag"].array})
    tags = in_order(tags[tags["position"] >= 0], {"position": "ascending", "tag": "ascending"})
    starts = tags["position"].searchsorted(np.arange(len(nodes) + 1))
    names = pa.array(pd.Index(tags["tag"]), pa.large_string())
    lists = pa.ListArray.from_arrays(starts.astype(np.int32), names)
    return pd.Series(pc.binary_join(lists, pa.scalar(", ", pa.large_string())).to_pandas(), dtype="str")


def _kept(held: Holdings, tags: Bools, nodes: Bools, stays: Bools) -> pd.DataFrame:
    tagged = np.flatnonzero(tags & np.append(stays, False)[held.tag_node])
    is_tagged = np.zeros(held.n_nodes, dtype=np.bool_)
    is_tagged[held.tag_node[tagged]] = True
    alone = np.flatnonzero(nodes & stays & ~is_tagged)
    named = np.concatenate([held.tag_node[tagged], alone])
    table = pd.DataFrame(
        {
            "repository": held.repositories[held.node_repository[named]],
            "tag": pd.Series(held.snap.tags["tag"].array[tagged]).reindex(range(len(named))),
            "digest": held.manifests[held.node_manifest[named]],
            "reason": why_they_stay(held, named, tags, stays),
        }
    )
    return in_order(table, {"repository": "ascending", "tag": "ascending", "digest": "ascending"})
