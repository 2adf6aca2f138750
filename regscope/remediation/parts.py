"""Tags on a part of another tagged image, such as `1.0-amd64` beside the index `1.0`: they stay and go with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regscope.analysis.columns import Words
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints, Relation, distinct


class Parts(NamedTuple):
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


NO_PARTS = Parts(np.array([], dtype=np.int64), np.array([], dtype=np.int64), np.array([], dtype=object))


def joined(each: Sequence[Parts]) -> Parts:
    """All pairs of several rules."""
    return Parts(*map(np.concatenate, zip(NO_PARTS, *each, strict=True)))


def parts_among(held: Holdings, rows: Ints) -> Parts:
    """Those of the tags at `rows` that name a part of what another of them names, however deep within it."""
    node = held.tag_node[rows]
    name = np.full(held.n_nodes, None, dtype=object)
    name[node[::-1]] = held.snap.tags["tag"].array[rows[::-1]]  # the first tag of each
    asked = distinct(node)
    position, whole = _wholes(held).closure(asked)
    tagged = np.zeros(held.n_nodes, dtype=np.bool_)
    tagged[asked] = True
    is_part = tagged[whole] & (whole != asked[position])
    of_node = Relation(asked[position[is_part]], whole[is_part], held.n_nodes, held.n_nodes)
    position, whole = of_node.of(node)
    return Parts(rows[position], whole, name[whole])


def _wholes(held: Holdings) -> Relation:
    """Node to node: a child to its indexes, and an artifact to its subjects. An image with a subject is its own."""
    is_artifact = (held.snap.manifests["kind"] == "artifact").to_numpy()[held.node_manifest]
    attached = is_artifact[held.referring.right]
    part = np.concatenate([held.children.right, held.referring.right[attached]])
    whole = np.concatenate([held.children.left, held.referring.left[attached]])
    return Relation(part, whole, held.n_nodes, held.n_nodes)
