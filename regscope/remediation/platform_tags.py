"""Tags on a part of another tagged image, such as `1.0-amd64` of the index `1.0`: they are kept or removed with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regscope.analysis.columns import Words
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.relation import Relation
from regscope.arrays import NONE, Bools, Ints, distinct, marked


class PlatformTags(NamedTuple):
    """Pairs of a part's tag and a tagged manifest that it is a part of.

    Attributes:
        row: the row in `tags` of the part's tag.
        whole: the placement of the index, or of the subject of an artifact, in the same repository.
        name: a tag on that manifest.
    """

    row: Ints
    whole: Ints
    name: Words

    def held_back(self, gone: Bools) -> Ints:
        """The pairs whose whole is not among the placements in `gone`: these parts stay."""
        return np.flatnonzero(~gone[self.whole])


NO_PLATFORM_TAGS = PlatformTags(NONE, NONE, np.array([], dtype=object))


def joined(each: Sequence[PlatformTags]) -> PlatformTags:
    """The pairs of several rules together."""
    return PlatformTags(*map(np.concatenate, zip(NO_PLATFORM_TAGS, *each, strict=True)))


def platform_tags_among(graph: ReferenceGraph, rows: Ints) -> PlatformTags:
    """The pairs among the tags at `rows`: one tag is on a part, at any depth, of the manifest of another.

    The tags of one repository, whose index has the images a and b:

        row  tag        names      | pairs of row, whole, name
        0    1.0        the index  |
        1    1.0-amd64  image a    | 1, the index, 1.0
        2    1.0-arm64  image b    | 2, the index, 1.0
        3    latest     the index  |
        4    other      image c    |
    """
    node = graph.tag_node[rows]
    name = np.full(graph.n_nodes, None, dtype=object)
    name[node[::-1]] = graph.snap.tags["tag"].array[rows[::-1]]  # the first tag of each manifest
    asked = distinct(node)
    position, whole = _wholes(graph).closure(asked)
    is_part = marked(asked, graph.n_nodes)[whole] & (whole != asked[position])
    of_node = Relation(asked[position[is_part]], whole[is_part], graph.n_nodes, graph.n_nodes)
    position, whole = of_node.of(node)
    return PlatformTags(rows[position], whole, name[whole])


def _wholes(graph: ReferenceGraph) -> Relation:
    """From each child to its indexes, and from each artifact to its subjects; an image with a subject is no part."""
    is_artifact = (graph.snap.manifests["kind"] == "artifact").to_numpy()[graph.node_manifest]
    attached = is_artifact[graph.referring.right]
    part = np.concatenate([graph.children.right, graph.referring.right[attached]])
    whole = np.concatenate([graph.children.left, graph.referring.left[attached]])
    return Relation(part, whole, graph.n_nodes, graph.n_nodes)
