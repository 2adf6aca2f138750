"""Layers that hold nearly the same files, found without comparing every layer with every other."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from regscope.analysis.columns import numbered_parts
from regscope.analysis.file_contents import FileContents
from regscope.analysis.relation import Bools, Ints, distinct_pairs, sums
from regscope.tables import Snapshot


def near_twins(snap: Snapshot, layers: pd.Index[str], threshold: float) -> tuple[Ints, npt.NDArray[np.float64]]:
    """For each layer, the position of the one before it that it is most similar to, and how similar they are.

    Similarity is the share of bytes in regular files that both have, at the same path and with the same content, among
    the bytes in files of either. A layer that is less than `threshold` similar to all before it that stand for
    themselves stands for itself, with similarity 1.
    """
    shared = _SharedFiles(snap, layers)
    stands_for = np.arange(len(layers), dtype=np.int64)
    similarity = np.ones(len(layers))
    seen: dict[int, list[int]] = defaultdict(list)  # by file, the layers that stand for themselves
    is_own = np.zeros(len(shared.size), dtype=np.bool_)
    for layer in range(len(layers)):
        telling = shared.telling(layer, threshold)
        own = shared.of(layer)
        is_own[own] = True
        best = 0.0
        for other in sorted({other for file in telling for other in seen[file]}):
            files = shared.of(other)
            both = int(shared.size[files[is_own[files]]].sum())
            found = both / (shared.total[layer] + shared.total[other] - both)
            if found >= threshold and found > best:
                stands_for[layer], similarity[layer], best = other, found, found
        is_own[own] = False
        if not best:
            for file in telling:
                seen[file].append(layer)
    return stands_for, similarity


class _SharedFiles:
    """By layer, the files (a path with a content) that others have as well, the rarest first.

    Attributes:
        size: of each file, its bytes.
        total: of each layer, the bytes of all its files, shared or not.
    """

    def __init__(self, snap: Snapshot, layers: pd.Index[str]) -> None:
        contents = FileContents(snap)
        layer = layers.get_indexer(contents.layers)[contents.layer]
        known = layer >= 0
        self.total = sums(layer[known], contents.size[contents.content[known]], len(layers))
        content, _ = distinct_pairs(contents.content[known], layer[known], len(layers))
        is_shared = known & (np.bincount(content, minlength=len(contents.sha256)) > 1)[contents.content]
        layer, content = layer[is_shared], contents.content[is_shared]
        key = content * (len(layer) + 1) + _path_numbers(contents, is_shared)
        order = np.argsort(key)
        is_first = np.append(True, np.diff(key[order]) > 0)[: len(key)]
        file = np.cumsum(is_first)[np.argsort(order)] - 1
        layers_with = np.bincount(file)
        self.size: Ints = contents.size[content[order[is_first]]]
        order = np.lexsort((file, layers_with[file], layer))
        self._file: Ints = file[order][layers_with[file[order]] > 1]
        counts = np.bincount(layer[layers_with[file] > 1], minlength=len(layers))
        self._ends = np.append(0, np.cumsum(counts))

    def of(self, layer: int) -> Ints:
        """The files of a layer."""
        return self._file[self._ends[layer] : self._ends[layer + 1]]

    def telling(self, layer: int, threshold: float) -> Ints:
        """The files of a layer of which any one that is similar has at least one.

        Similar layers share `threshold` of the bytes of either at least, so the rarest file that they share stands
        where at least as many bytes are still to come, in the one as in the other.
        """
        files = self.of(layer)
        still = np.cumsum(self.size[files][::-1])[::-1]
        enough: Ints = files[still >= threshold * self.total[layer] * (1 - 1e-9)]
        return enough


def _path_numbers(contents: FileContents, wanted: Bools) -> Ints:
    """The number of each wanted file's path."""
    at_wanted = np.cumsum(wanted) - 1
    parts = [(position, paths.dictionary_encode()) for position, paths in contents.paths(wanted)]
    numbers, _ = numbered_parts([paths for _, paths in parts])
    found = np.zeros(int(wanted.sum()), dtype=np.int64)
    found[at_wanted[np.concatenate([np.array([], dtype=np.int64), *(position for position, _ in parts)])]] = numbers
    return found
