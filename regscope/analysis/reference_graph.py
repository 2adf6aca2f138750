"""The graph of references: tags to manifests, manifests to manifests, and manifests to blobs.

All byte counts are computed from this graph: sharing, `what_if`, stale images, and plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from regscope.analysis.columns import numbered, ranks, strings
from regscope.analysis.relation import Relation
from regscope.arrays import Bools, Ints, looked_up
from regscope.tables import Snapshot


@dataclass(frozen=True, eq=False)
class ReferenceGraph:
    """A snapshot's placements (a manifest in a repository) as numbered nodes of a graph, and its blobs.

    A tag holds its placement; an index holds its children, and a subject its referrers, in the same repository. A
    fallback or cosign tag (`sha256-…`) holds nothing by itself: it is deleted together with its subject.
    """

    snap: Snapshot

    @cached_property
    def manifests(self) -> pd.Index[str]:
        """The digests of all manifests; a manifest's number is its position."""
        return strings(self.snap.manifests["digest"])

    @cached_property
    def repositories(self) -> pd.Index[str]:
        """The names of all repositories; a repository's number is its position."""
        return strings(self.snap.placements["repository"].drop_duplicates())

    @cached_property
    def blobs(self) -> pd.Index[str]:
        """The digests of all blobs; a blob's number is its position."""
        return strings(self.snap.blobs["digest"])

    @cached_property
    def manifest_rank(self) -> Ints:
        """The rank of each manifest by digest."""
        return ranks(self.manifests)

    @cached_property
    def repository_rank(self) -> Ints:
        """The rank of each repository by name."""
        return ranks(self.repositories)

    @cached_property
    def blob_size(self) -> Ints:
        """The stored size of each blob in bytes; 0 if it is served from elsewhere (foreign) or its size is unknown."""
        sizes = self.snap.blobs["size"].fillna(0).to_numpy(dtype=np.int64)
        return np.where(self.snap.blobs["foreign"].to_numpy(), 0, sizes)

    @cached_property
    def is_layer(self) -> Bools:
        """Whether each blob is a layer."""
        return (self.snap.blobs["kind"] == "layer").to_numpy()

    @cached_property
    def node_manifest(self) -> Ints:
        """The number of each node's manifest."""
        return self._manifest_numbers["placement"]

    @cached_property
    def node_repository(self) -> Ints:
        """The number of each node's repository."""
        return numbered(self.repositories, self.snap.placements["repository"])[0]

    @cached_property
    def is_untagged(self) -> Bools:
        """Whether each node was found as untagged, so that no tag keeps it."""
        return (self.snap.placements["found"] == "untagged").to_numpy()

    @cached_property
    def contents(self) -> Relation:
        """Manifests to blobs: a manifest to itself, its config and its layers."""
        manifests, layers = self.snap.manifests, self.snap.layers
        own = np.arange(len(manifests), dtype=np.int64)
        left = [own, own, self._manifest_numbers["layer"]]
        right = numbered(self.blobs, manifests["digest"], manifests["config_digest"], layers["blob_digest"])
        return Relation(np.concatenate(left), np.concatenate(right), len(self.manifests), len(self.blobs))

    @cached_property
    def spared(self) -> Relation:
        """Manifests to the blobs that garbage collection keeps because of them.

        These are a manifest's contents, and for an index also the manifests of its children, even if these are deleted
        in its repository.
        """
        child = numbered(self.blobs, self.snap.platforms["digest"])[0]
        left = np.concatenate([self.contents.left, self._manifest_numbers["index"]])
        right = np.concatenate([self.contents.right, child])
        return Relation(left, right, len(self.manifests), len(self.blobs))

    @cached_property
    def children(self) -> Relation:
        """Nodes to nodes: an index to its children."""
        return self._within_repositories(self._manifest_numbers["index"], self._manifest_numbers["child"])

    @cached_property
    def referring(self) -> Relation:
        """Nodes to nodes: a subject to its referrers."""
        return self._within_repositories(self._manifest_numbers["subject"], self._manifest_numbers["referrer"])

    @cached_property
    def onward(self) -> Relation:
        """Nodes to nodes: a node to the children and referrers that it holds."""
        left = np.concatenate([self.children.left, self.referring.left, self.tag_subject])
        right = np.concatenate([self.children.right, self.referring.right, self.tag_node])
        return Relation(left, right, self.n_nodes, self.n_nodes)

    @cached_property
    def holders(self) -> Relation:
        """Nodes to nodes: a node to the nodes that hold it; the inverse of `onward`."""
        return Relation(self.onward.right, self.onward.left, self.n_nodes, self.n_nodes)

    @property
    def n_nodes(self) -> int:
        """The number of nodes (placements)."""
        return len(self.snap.placements)

    @cached_property
    def tag_node(self) -> Ints:
        """The node of each tag; -1 if its manifest could not be read."""
        return self._nodes(self.tag_repository, self._manifest_numbers["tag"])

    @cached_property
    def tag_is_root(self) -> Bools:
        """Whether each tag holds its manifest by itself, and is not attached to a subject that exists."""
        independent = self.tag_subject < 0
        readable = self.tag_node >= 0
        roots = np.concatenate([self.tag_node[independent & readable], np.flatnonzero(self.is_untagged)])
        graph = self.onward.reached(roots)
        # A subject that nothing else holds is held by its attachment's tag: users would not expect both to be deleted.
        attached = looked_up(graph, self.tag_subject, absent=False)
        return readable & (independent | ~attached)

    @cached_property
    def is_root(self) -> Bools:
        """Whether each node is held directly by a root tag (`tag_is_root`), or was found as untagged."""
        roots = self.is_untagged.copy()
        roots[self.tag_node[self.tag_is_root]] = True
        return roots

    @cached_property
    def tag_repository(self) -> Ints:
        """The repository of each tag; -1 if no manifest in it could be read."""
        return numbered(self.repositories, self.snap.tags["repository"])[0]

    @cached_property
    def tag_subject(self) -> Ints:
        """The node of the subject of each fallback or cosign tag; -1 for other tags."""
        return self._nodes(self.tag_repository, self._manifest_numbers["tag subject"])

    @cached_property
    def _manifest_numbers(self) -> dict[str, Ints]:
        """For each table column of digests, the manifest in each row; -1 if absent or not read."""
        snap = self.snap
        columns = {
            "placement": snap.placements["digest"],
            "layer": snap.layers["digest"],
            "index": snap.platforms["index_digest"],
            "child": snap.platforms["digest"],
            "subject": snap.referrers["subject"],
            "referrer": snap.referrers["digest"],
            "tag": snap.tags["digest"],
            "tag subject": snap.tags["subject"],
        }
        return dict(zip(columns, numbered(self.manifests, *columns.values()), strict=True))

    @cached_property
    def _node_keys(self) -> pd.Index[Any]:
        keys: pd.Index[Any] = pd.Index(self.node_repository * max(len(self.manifests), 1) + self.node_manifest)
        return keys

    def _nodes(self, repository: Ints, manifest: Ints) -> Ints:
        """The node of each manifest in its repository; -1 if the manifest is not placed there."""
        keys = repository * max(len(self.manifests), 1) + manifest
        known = (repository >= 0) & (manifest >= 0)
        return np.where(known, self._node_keys.get_indexer(pd.Index(keys)), -1).astype(np.int64)

    def _within_repositories(self, left: Ints, right: Ints) -> Relation:
        """A relation of manifests as a relation of nodes: it holds in each repository that has both manifests."""
        manifests = Relation(left, right, len(self.manifests), len(self.manifests))
        source, target = manifests.of(self.node_manifest)
        return Relation(source, self._nodes(self.node_repository[source], target), self.n_nodes, self.n_nodes)
