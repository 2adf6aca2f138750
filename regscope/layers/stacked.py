"""The tar entries of an image's layers, the paths where they land, and the `Stack` that they form."""

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
_NAMELESS = r"(^|/)\.{0,2}$"  # what is left of `.wh.`, `.wh..` and `.wh...`


@dataclass(frozen=True, eq=False)
class Stacked:
    """The entries of layers upon one another.

    Attributes:
        entries: of which layers they are.
        rows: the row in `entries` of each one, in the order in which they are applied.
        layer: the place in the image of each one's layer.
        tree: the paths where they land.
        paths: the node in `tree` of each node of `stack`.
        stack: what hides what.
        through: pairs of an entry and a symlink's entry that was followed on the way to it or to its hardlink's target.
    """

    entries: Entries
    rows: Ints
    layer: Ints
    tree: PathTree
    paths: Ints
    stack: Stack
    through: tuple[Ints, Ints]

    def part(self, rows: Ints) -> Stacked:
        """Some of the entries alone, lowest first; where the others led them, they land elsewhere."""
        if len(self.through[0]):
            return self.entries.stacked(self.rows[rows], self.layer[rows])
        return replace(self, rows=self.rows[rows], layer=self.layer[rows], stack=self.stack.part(rows))


class Entries:
    """What the tars of some layers have, entry by entry.

    Args:
        path: as `tar_entries` places it: of a whiteout that of what it hides.
        kind: `directory`, `symlink`, `hardlink` or another.
        whiteout: one of `WHITEOUTS`; absent for what is no mark.
        link_target: of symlinks what they say, of hardlinks the path of their target.

    Attributes:
        tree: their paths.
        is_file: whether each entry is a regular file, and no mark.
        is_hardlink: whether each entry is a hardlink, and no mark.
        is_nameless: whether each entry is a whiteout without a name, such as `.wh.`: containerd refuses its layer, and
            here it means nothing.
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
        """Some entries upon one another, in the order in which they are applied; `layer`, the number of each one's."""
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
        """Whether a symlink, or another name of one, is where the path of an entry may lead through it."""
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
    """The position of each word in `known`; -1 for others, and where there is none."""
    if not pa.types.is_dictionary(words.type):
        words = words.dictionary_encode()
    place = {word: code for code, word in enumerate(known)}
    codes = np.array([*(place.get(word, -1) for word in words.dictionary.to_pylist()), -1], dtype=np.int64)
    return codes[np.array(words.indices.fill_null(len(codes) - 1), dtype=np.int64)]
