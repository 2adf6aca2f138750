"""The tar entries of an image's layers, the paths where they are unpacked, and the `Stack` that they form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from regscope.arrays import NONE, Bools, Ints, looked_up, marked
from regscope.layers.landing import Landing, Step, landings
from regscope.layers.overlay import Stack
from regscope.layers.path_tree import PathTree

WHITEOUTS = ("delete", "opaque", "ignored")
_DELETE, _OPAQUE, _IGNORED = range(3)
_NAMELESS = r"(^|/)\.{0,2}$"  # the rest of `.wh.`, `.wh..` and `.wh...`


@dataclass(frozen=True, eq=False)
class Stacked:
    """The entries of an image's layers, in the order in which they are applied.

    Attributes:
        entries: the tar entries of the layers.
        rows: for each entry of the image, its row in `entries`.
        layer: for each entry of the image, the position of its layer in the image.
        tree: the paths where the entries are unpacked.
        paths: for each node of `stack`, its node in `tree`.
        stack: the overlay, which tells what hides each entry.
        through: pairs of an entry and of a symlink that was followed to the entry or to its hardlink's target.
    """

    entries: Entries
    rows: Ints
    layer: Ints
    tree: PathTree
    paths: Ints
    stack: Stack
    through: tuple[Ints, Ints]

    def part(self, rows: Ints) -> Stacked:
        """The entries `rows` alone, lowest first; their paths may change if symlinks are missing among them."""
        if len(self.through[0]):
            return self.entries.stacked(self.rows[rows], self.layer[rows])
        return replace(self, rows=self.rows[rows], layer=self.layer[rows], stack=self.stack.part(rows))


class Entries:
    """The tar entries of some layers; whiteouts and opaque whiteouts (marks) are entries as well.

    Args:
        path: path of each entry, as `tar_entries` gives it; for a whiteout the path that it hides.
        kind: `directory`, `symlink`, `hardlink` or another kind.
        whiteout: one of `WHITEOUTS`; absent for entries that are not marks.
        link_target: for symlinks the target as in the tar, for hardlinks the path of their target.

    Attributes:
        tree: the paths of all entries.
        is_file: whether each entry is a regular file, not a mark.
        is_hardlink: whether each entry is a hardlink, not a mark.
        is_nameless: whether each entry is a whiteout without a name, such as `.wh.`, which has no effect here;
            containerd refuses its layer.
    """

    def __init__(self, path: pa.Array, kind: pa.Array, whiteout: pa.Array, link_target: pa.Array) -> None:
        self.tree = PathTree(path)
        self._path, self._link_target = path, link_target
        self._whiteout = _codes(whiteout, WHITEOUTS)
        is_mark = self._whiteout >= 0
        kinds = _codes(kind, ("file", "directory", "symlink", "hardlink"))
        self.is_file: Bools = (kinds == 0) & ~is_mark
        self._is_directory: Bools = (kinds == 1) & ~is_mark
        self._is_symlink: Bools = (kinds == 2) & ~is_mark
        self.is_hardlink: Bools = (kinds == 3) & ~is_mark
        self.is_nameless: Bools = np.zeros(len(path), dtype=np.bool_)
        deletes = np.flatnonzero(self._whiteout == _DELETE)
        named = pc.match_substring_regex(path.take(pa.array(deletes)), _NAMELESS)
        self.is_nameless[deletes] = np.array(named, dtype=np.bool_)
        is_root = self.tree.parent[self.tree.node] < 0
        self._ignored = (self._whiteout == _IGNORED) | self.is_nameless | (is_root & ~self._is_directory & ~is_mark)
        self._link: Ints = np.full(len(path), -1)
        links = pa.array(np.flatnonzero(self.is_hardlink))
        self._link[self.is_hardlink] = self.tree.find(link_target.take(links))

    def __len__(self) -> int:
        return len(self._path)

    def stacked(self, rows: Ints, layer: Ints) -> Stacked:
        """The overlay of the entries `rows`, in the order in which they are applied; `layer` has the layer numbers."""
        paths, parent = self.tree.part(self.tree.node[rows])
        link = self._link[rows]
        target = np.searchsorted(paths, link)
        is_there = (link >= 0) & (looked_up(paths, target, absent=-1) == link)
        stack = Stack(
            parent=parent,
            layer=layer,
            node=np.searchsorted(paths, self.tree.node[rows]),
            is_directory=self._is_directory[rows],
            deletes=(self._whiteout[rows] == _DELETE) & ~self.is_nameless[rows],
            clears=self._whiteout[rows] == _OPAQUE,
            ignored=self._ignored[rows],
            link=np.where(is_there, target, -1),
        )
        if self._has_links_on_the_way(stack, rows):
            return self._landed(stack, rows)
        return Stacked(self, rows, layer, self.tree, paths, stack, (NONE, NONE))

    def _has_links_on_the_way(self, stack: Stack, rows: Ints) -> bool:
        """Whether the path of any entry may lead through a symlink, or through a hardlink to a symlink."""
        is_link, is_hardlink = self._is_symlink[rows], self.is_hardlink[rows]
        if not is_link.any():
            return False
        if (is_hardlink & (stack.link < 0)).any():
            return True
        may_lead = marked(stack.node[is_link | is_hardlink], len(stack.parent))
        leads = may_lead[stack.parent] & (stack.parent >= 0)
        return bool(leads.any() or may_lead[stack.node[stack.clears]].any())

    def _landed(self, stack: Stack, rows: Ints) -> Stacked:
        steps = self._steps(stack, rows)
        found = list(landings(steps))
        targets = [landing.target for landing in found]
        tree = PathTree(pa.array([landing.path for landing in found], pa.large_string()))
        link = tree.find(pa.array(targets, pa.large_string()))
        landed = replace(stack, parent=tree.parent, node=tree.node, link=link)
        return Stacked(self, rows, stack.layer, tree, np.arange(len(tree.parent)), landed, _pairs(found))

    def _steps(self, stack: Stack, rows: Ints) -> list[Step]:
        taken = pa.array(rows)
        columns = (
            stack.layer.tolist(),
            self._path.take(taken).to_pylist(),
            stack.is_directory.tolist(),
            self._is_symlink[rows].tolist(),
            stack.deletes.tolist(),
            stack.clears.tolist(),
            stack.ignored.tolist(),
            self._link_target.take(taken).to_pylist(),
        )
        return list(map(Step._make, zip(*columns, strict=True)))


def _pairs(found: Sequence[Landing]) -> tuple[Ints, Ints]:
    through = [landing.through for landing in found]
    entry = np.repeat(np.arange(len(found)), [len(links) for links in through])
    return entry, np.array([link for links in through for link in links], dtype=np.int64)


def _codes(words: pa.Array, known: Sequence[str]) -> Ints:
    """For each word, its position in `known`; -1 for other and absent words."""
    if not pa.types.is_dictionary(words.type):
        words = words.dictionary_encode()
    place = {word: code for code, word in enumerate(known)}
    codes = np.array([*(place.get(word, -1) for word in words.dictionary.to_pylist()), -1], dtype=np.int64)
    return codes[np.array(words.indices.fill_null(len(codes) - 1), dtype=np.int64)]
