"""Tags on a part of another tagged image, such as `1.0-amd64` beside the index `1.0`: they stay and go with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regscope.analysis.columns import Words
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.relation import Relation
from regscope.arrays import NONE, Bools, Ints, distinct, marked


class PlatformTags(NamedTuple):
    """Pairs of a tag and a manifest that it is a part of, which another of the same tags names.

    Attributes:
        row: of `tags`: the part's.
        whole: the placement of the index, or of the image to which an artifact is attached, in the same repository.
        name: a tag on it.
    """

    row: Ints
    whole: Ints
    name: Words

    def held_back(self, gone: Bools) -> Ints:
        """The pairs whose whole is none of the placements that are `gone`: these parts stay."""
        return np.flatnonzero(~gone[self.whole])


NO_PLATFORM_TAGS = PlatformTags(NONE, NONE, np.array([], dtype=object))


def joined(each: Sequence[PlatformTags]) -> PlatformTags:
    """All pairs of several rules."""
    return PlatformTags(*map(np.concatenate, zip(NO_PLATFORM_TAGS, *each, strict=True)))


def platform_tags_among(graph: ReferenceGraph, rows: Ints) -> PlatformTags:
    """Those of the tags at `rows` that name a part of what another of them names, however deep within it.

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
    name[node[::-1]] = graph.snap.tags["tag"].array[rows[::-1]]  # the first tag of each
    asked = distinct(node)
    position, whole = _wholes(graph).closure(asked)
    is_part = marked(asked, graph.n_nodes)[whole] & (whole != asked[position])
    of_node = Relation(asked[position[is_part]], whole[is_part], graph.n_nodes, graph.n_nodes)
    position, whole = of_node.of(node)
    return PlatformTags(rows[position], whole, name[whole])


def _wholes(graph: ReferenceGraph) -> Relation:
    """Node to node: a child to its indexes, and an artifact to its subjects. An image with a subject is its own."""
    is_artifact = (graph.snap.manifests["kind"] == "artifact").to_numpy()[graph.node_manifest]
    attached = is_artifact[graph.referring.right]
    part = np.concatenate([graph.children.right, graph.referring.right[attached]])
    whole = np.concatenate([graph.children.left, graph.referring.left[attached]])
    return Relation(part, whole, graph.n_nodes, graph.n_nodes)
