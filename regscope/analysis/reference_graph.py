"""Who holds what: which tags keep which manifests, and which manifests which blobs.

Everything that counts bytes stands on this: sharing, `what_if`, stale images, and plans.
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
    fallback or cosign tag, `sha256-…`, holds nothing by itself: it goes with the manifest that it is about.
    """

    snap: Snapshot

    @cached_property
    def manifests(self) -> pd.Index[str]:
        """The digests of all manifests; their positions are the manifests' numbers."""
        return strings(self.snap.manifests["digest"])

    @cached_property
    def repositories(self) -> pd.Index[str]:
        """The names of all repositories; their positions are the repositories' numbers."""
        return strings(self.snap.placements["repository"].drop_duplicates())

    @cached_property
    def blobs(self) -> pd.Index[str]:
        """The digests of all blobs; their positions are the blobs' numbers."""
        return strings(self.snap.blobs["digest"])

    @cached_property
    def manifest_rank(self) -> Ints:
        """Each manifest's place in the order of the digests."""
        return ranks(self.manifests)

    @cached_property
    def repository_rank(self) -> Ints:
        """Each repository's place in the order of the names."""
        return ranks(self.repositories)

    @cached_property
    def blob_size(self) -> Ints:
        """Bytes that each blob takes in the store: 0 where it lives elsewhere, or its size is unknown."""
        sizes = self.snap.blobs["size"].fillna(0).to_numpy(dtype=np.int64)
        return np.where(self.snap.blobs["foreign"].to_numpy(), 0, sizes)

    @cached_property
    def is_layer(self) -> Bools:
        """Whether each blob is a layer."""
        return (self.snap.blobs["kind"] == "layer").to_numpy()

    @cached_property
    def node_manifest(self) -> Ints:
        """Each node's manifest."""
        return self._manifest_numbers["placement"]

    @cached_property
    def node_repository(self) -> Ints:
        """Each node's repository."""
        return numbered(self.repositories, self.snap.placements["repository"])[0]

    @cached_property
    def is_untagged(self) -> Bools:
        """Whether each node stands there by itself, kept by no tag."""
        return (self.snap.placements["found"] == "untagged").to_numpy()

    @cached_property
    def contents(self) -> Relation:
        """Manifest to blobs: itself, its config and its layers."""
        manifests, layers = self.snap.manifests, self.snap.layers
        own = np.arange(len(manifests), dtype=np.int64)
        left = [own, own, self._manifest_numbers["layer"]]
        right = numbered(self.blobs, manifests["digest"], manifests["config_digest"], layers["blob_digest"])
        return Relation(np.concatenate(left), np.concatenate(right), len(self.manifests), len(self.blobs))

    @cached_property
    def spared(self) -> Relation:
        """Manifest to the blobs that garbage collection spares for it.

        Its contents, and of an index the manifests of its children as well, though these be deleted in its repository.
        """
        child = numbered(self.blobs, self.snap.platforms["digest"])[0]
        left = np.concatenate([self.contents.left, self._manifest_numbers["index"]])
        right = np.concatenate([self.contents.right, child])
        return Relation(left, right, len(self.manifests), len(self.blobs))

    @cached_property
    def children(self) -> Relation:
        """Node to node: an index to its children."""
        return self._within_repositories(self._manifest_numbers["index"], self._manifest_numbers["child"])

    @cached_property
    def referring(self) -> Relation:
        """Node to node: a subject to its referrers."""
        return self._within_repositories(self._manifest_numbers["subject"], self._manifest_numbers["referrer"])

    @cached_property
    def onward(self) -> Relation:
        """Node to node: all that a node holds, children and referrers alike."""
        left = np.concatenate([self.children.left, self.referring.left, self.tag_subject])
        right = np.concatenate([self.children.right, self.referring.right, self.tag_node])
        return Relation(left, right, self.n_nodes, self.n_nodes)

    @cached_property
    def holders(self) -> Relation:
        """Node to node: what holds a node, `onward` the other way round."""
        return Relation(self.onward.right, self.onward.left, self.n_nodes, self.n_nodes)

    @property
    def n_nodes(self) -> int:
        """How many placements there are."""
        return len(self.snap.placements)

    @cached_property
    def tag_node(self) -> Ints:
        """Each tag's node; -1 where its manifest could not be read."""
        return self._nodes(self.tag_repository, self._manifest_numbers["tag"])

    @cached_property
    def tag_is_root(self) -> Bools:
        """Whether each tag holds its manifest by itself, and not as an attachment of a manifest that is there."""
        independent = self.tag_subject < 0
        readable = self.tag_node >= 0
        roots = np.concatenate([self.tag_node[independent & readable], np.flatnonzero(self.is_untagged)])
        graph = self.onward.reached(roots)
        # A subject that nothing else holds is held by its attachment's tag: letting both go would be a surprise.
        attached = looked_up(graph, self.tag_subject, absent=False)
        return readable & (independent | ~attached)

    @cached_property
    def is_root(self) -> Bools:
        """Whether each node is held by a tag that stands for itself, or stands there by itself."""
        roots = self.is_untagged.copy()
        roots[self.tag_node[self.tag_is_root]] = True
        return roots

    @cached_property
    def tag_repository(self) -> Ints:
        """Each tag's repository; -1 where nothing in it could be read."""
        return numbered(self.repositories, self.snap.tags["repository"])[0]

    @cached_property
    def tag_subject(self) -> Ints:
        """The node that each tag is about; -1 for a tag that stands for itself."""
        return self._nodes(self.tag_repository, self._manifest_numbers["tag subject"])

    @cached_property
    def _manifest_numbers(self) -> dict[str, Ints]:
        """The manifests that the tables name, row by row; -1 for what is absent or could not be read."""
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
        """The node of each manifest in its repository; -1 where it is not placed there."""
        keys = repository * max(len(self.manifests), 1) + manifest
        known = (repository >= 0) & (manifest >= 0)
        return np.where(known, self._node_keys.get_indexer(pd.Index(keys)), -1).astype(np.int64)

    def _within_repositories(self, left: Ints, right: Ints) -> Relation:
        """A relation of manifests as one of nodes: it holds wherever both are in one repository."""
        manifests = Relation(left, right, len(self.manifests), len(self.manifests))
        source, target = manifests.of(self.node_manifest)
        return Relation(source, self._nodes(self.node_repository[source], target), self.n_nodes, self.n_nodes)
