"""What deleting a set of tags, manifests or repositories would free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regscope import text
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints, Relation
from regscope.analysis.selection import Selection, select
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
    freed = _freed(held, gone)
    return WhatIf(
        freed_bytes=int(held.blob_size[freed].sum()),
        at_most=not snap.sees_everything,
        blobs=_blobs(held, freed),
        gone=_gone(held, gone),
        kept=_kept(held, tags, nodes, stays),
    )


def _freed(held: Holdings, gone: Bools) -> Ints:
    """The blobs that no placement which stays still uses."""
    leaving = np.unique(held.node_manifest[gone])
    staying = np.unique(held.node_manifest[~gone])
    _, candidates = held.contents.of(leaving)
    _, needed = held.contents.of(staying)
    return np.setdiff1d(candidates, needed)


def _blobs(held: Holdings, freed: Ints) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "digest": held.blobs[freed],
            "kind": held.snap.blobs["kind"].to_numpy()[freed],
            "size": held.blob_size[freed],
        }
    ).astype({"digest": "str", "kind": "category"})
    return table.sort_values(["size", "digest"], ascending=[False, True], ignore_index=True)


def _gone(held: Holdings, gone: Bools) -> pd.DataFrame:
    nodes = np.flatnonzero(gone)
    table = held.snap.placements.loc[gone, ["repository", "digest"]].astype("str").reset_index(drop=True)
    table["kind"] = held.snap.manifests["kind"].astype("str").to_numpy()[held.node_manifest[nodes]]
    on_node = held.snap.tags["tag"].groupby(held.tag_node).agg(lambda tags: ", ".join(sorted(tags)))
    table["tags"] = on_node.reindex(nodes).fillna("").astype("str").to_numpy()
    table = table.astype({"kind": "category", "tags": "str"})
    return table.sort_values(["repository", "digest"], ignore_index=True)


def _kept(held: Holdings, tags: Bools, nodes: Bools, stays: Bools) -> pd.DataFrame:
    columns = ["repository", "tag", "digest"]
    tagged = np.flatnonzero(tags & np.append(stays, False)[held.tag_node])
    by_tag = held.snap.tags.loc[held.snap.tags.index[tagged], columns].astype("str")
    by_tag["reason"] = _reasons(held, held.tag_node[tagged], tags, stays)
    already = np.zeros(held.n_nodes, dtype=np.bool_)
    already[held.tag_node[tagged]] = True
    alone = np.flatnonzero(nodes & stays & ~already)
    by_digest = held.snap.placements.iloc[alone][["repository", "digest"]].astype("str")
    by_digest["reason"] = _reasons(held, alone, tags, stays)
    table = pd.concat([by_tag, by_digest]).reindex(columns=[*columns, "reason"]).astype("str")
    return table.sort_values(columns, ignore_index=True)


def _reasons(held: Holdings, nodes: Ints, tags: Bools, stays: Bools) -> list[str]:
    staying = held.tag_is_root & ~tags
    others = held.snap.tags["tag"][staying].groupby(held.tag_node[staying]).min()
    holders = Relation(held.onward.right, held.onward.left, held.n_nodes, held.n_nodes)
    children = set(zip(held.children.left.tolist(), held.children.right.tolist(), strict=True))
    reasons = []
    for node in nodes.tolist():
        if node in others.index:
            reasons.append(f"the tag {others[node]} stays, on the same manifest")
            continue
        _, parents = holders.of(np.array([node]))
        kept_by = [(held.manifests[held.node_manifest[p]], p) for p in parents.tolist() if stays[p] and p != node]
        if not kept_by:
            reasons.append("it is kept by itself, without a tag")
            continue
        digest, parent = min(kept_by)
        relation = "a child of the index" if (parent, node) in children else "attached to"
        reasons.append(f"it is {relation} {digest}, which stays")
    return reasons
