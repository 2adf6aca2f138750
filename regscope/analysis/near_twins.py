"""Layers with nearly the same files, found without comparing all pairs of layers."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from regscope.analysis.columns import numbered_parts
from regscope.analysis.file_contents import FileContents
from regscope.analysis.relation import Relation
from regscope.arrays import Bools, Ints, distinct, distinct_pairs, joined, running_totals, scattered, sums
from regscope.tables import Snapshot

_JUST_BELOW = 1 - 1e-9  # rounding must not exclude a pair before its exact comparison


def near_twins(snap: Snapshot, layers: pd.Index[str], threshold: float) -> tuple[Ints, npt.NDArray[np.float64]]:
    """For each layer, the position of the most similar earlier representative, and the similarity to it.

    Similarity is the number of bytes in regular files that both layers have, at equal paths with equal content, divided
    by the number of bytes in files that either has. A layer whose similarity to all earlier representatives is below
    `threshold` is a representative itself: it stands for itself, with similarity 1.

    Five layers with the files a, b and c, of 60, 30 and 10 bytes, and a threshold of 0.6:

        layer  files                | stands for  similarity
        0      a, b, c              | 0           1
        1      a, b                 | 0           0.9 = 90 of 100 bytes
        2      a, c                 | 0           0.7 = 70 of 100 bytes
        3      b, c                 | 3           1: it shares 40 of 100 bytes with 0
        4      b                    | 3           0.75 = 30 of 40 bytes
    """
    shared = _SharedFiles(snap, layers)
    stands_for = np.arange(len(layers), dtype=np.int64)
    similarity = np.ones(len(layers))
    seen: dict[int, list[int]] = defaultdict(list)  # by bundle, the representatives
    is_own = np.zeros(len(shared.size), dtype=np.bool_)
    for layer in range(len(layers)):
        telling = shared.telling(layer, threshold)
        own = shared.bundles(layer)
        is_own[own] = True
        best = 0.0
        for other in shared.possible(layer, sorted(set[int]().union(*(seen[bundle] for bundle in telling))), threshold):
            bundles = shared.bundles(other)
            both = int(shared.size[bundles[is_own[bundles]]].sum())
            found = both / (shared.total[layer] + shared.total[other] - both)
            if found >= threshold and found > best:
                stands_for[layer], similarity[layer], best = other, found, found
        is_own[own] = False
        if not best:
            for bundle in telling:
                seen[bundle].append(layer)
    return stands_for, similarity


class _SharedFiles:
    """For each layer, the bundles of files that other layers have as well, the rarest first.

    A file is a path with a content. A bundle is the set of files that exactly the same layers have, for example the
    files of a package. The five layers of `near_twins` share three bundles of one file each: c in three layers, a in
    three, and b in four. If exactly the same layers had a and b, both would be one bundle of 90 bytes.

    Attributes:
        size: for each bundle, its size in bytes.
        total: for each layer, the size of all its files in bytes, shared or not.
    """

    def __init__(self, snap: Snapshot, layers: pd.Index[str]) -> None:
        contents = FileContents(snap)
        layer = layers.get_indexer(contents.layers)[contents.layer]
        known = layer >= 0
        self.total = sums(layer[known], contents.size[contents.content[known]], len(layers))
        content, _ = distinct_pairs(contents.content[known], layer[known], len(layers))
        is_shared = known & (np.bincount(content, minlength=len(contents.sha256)) > 1)[contents.content]
        path, n_paths = _path_numbers(contents, is_shared)
        key = contents.content[is_shared] * max(n_paths, 1) + path
        files = distinct(key)
        held = Relation(np.searchsorted(files, key), layer[is_shared], len(files), len(layers))
        bundle_of_file, one_of_bundle = held.distinct_sets()
        self.size = sums(bundle_of_file, contents.size[files // max(n_paths, 1)], len(one_of_bundle))
        bundle, layer = held.of(one_of_bundle)
        layers_with = np.bincount(bundle)[bundle]
        bundle, layer, layers_with = (each[layers_with > 1] for each in (bundle, layer, layers_with))
        self._bundle: Ints = bundle[np.lexsort((bundle, layers_with, layer))]
        self._ends = running_totals(np.bincount(layer, minlength=len(layers)))
        self._shared = sums(layer, self.size[bundle], len(layers))

    def bundles(self, layer: int) -> Ints:
        """The bundles of a layer."""
        return self._bundle[self._ends[layer] : self._ends[layer + 1]]

    def telling(self, layer: int, threshold: float) -> list[int]:
        """The rarest bundles of a layer, of which every similar layer has at least one.

        Similar layers share at least `threshold` of the bytes of either. So the rarest bundle that they share is, in
        the order of both layers, followed by enough bytes (its own included) to reach that share.
        """
        bundles = self.bundles(layer)
        still = np.cumsum(self.size[bundles][::-1])[::-1]
        enough: list[int] = bundles[still >= threshold * self.total[layer] * _JUST_BELOW].tolist()
        return enough

    def possible(self, layer: int, others: list[int], threshold: float) -> list[int]:
        """Those of `others` that can reach `threshold`, assuming that all of their shared bytes are in this layer."""
        found = np.array(others, dtype=np.int64)
        both = np.minimum(self._shared[layer], self._shared[found])
        either = self.total[layer] + self.total[found] - both
        enough: list[int] = found[both >= threshold * either * _JUST_BELOW].tolist()
        return enough


def _path_numbers(contents: FileContents, wanted: Bools) -> tuple[Ints, int]:
    """The number of the path of each file in `wanted`, and the number of paths."""
    at_wanted = np.cumsum(wanted) - 1
    parts = [(position, part.dictionary_encode()) for position, part in contents.paths(wanted)]
    numbers, paths = numbered_parts([part for _, part in parts])
    position = joined(position for position, _ in parts)
    return scattered(numbers, at_wanted[position], int(wanted.sum()), absent=0), len(paths)
