"""The file tree as nested HTML lists of limited size: small entries of a directory are counted in one line."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from markupsafe import Markup

from regscope import text
from regscope.arrays import Ints
from regscope.views.image_files import DIRECTORIES, FILES, SIZE, SUMS, WASTED, WASTED_FILES, FileTree
from regscope.views.tree_lines import Line, file_line, folder_line, size_mark

_MOST_LINES = 8_000
_MOST_BYTES = 2_200_000
_DEEPEST = 60  # browsers flatten what is nested some 500 elements deep, and a directory takes three


def folded_tree(tree: FileTree, *, most_lines: int = _MOST_LINES, most_bytes: int = _MOST_BYTES) -> Markup:
    """`tree` as `<details>` in lists, the largest entries first.

    Args:
        tree: the tree of an image.
        most_lines: the number of directories and files shown, the largest of all; the other entries of a directory
            share a line with their count and bytes.
        most_bytes: the approximate limit of the HTML's size.
    """
    return _Lines(tree, most_lines, most_bytes).markup()


class _Lines:
    """The lines shown. Directories are numbered from 0, as in the tree, and files after them."""

    def __init__(self, tree: FileTree, most_lines: int, most_bytes: int) -> None:
        self.tree = tree
        self.n_folders = len(tree.parent)
        self.above = np.concatenate([tree.parent, tree.folder])
        shown = self._largest(most_lines)
        lines = dict(zip(shown.tolist(), self._lines(shown), strict=True))
        room = np.cumsum([len("".join(line).encode()) + self._around(number) for number, line in lines.items()])
        kept = [number for number, end in zip(lines, room, strict=True) if end <= most_bytes or number == tree.root]
        self.lines = {number: lines[number] for number in kept}
        self.children: dict[int, list[int]] = defaultdict(list)
        for number in kept:
            self.children[int(self.above[number])].append(number)

    def markup(self) -> Markup:
        """All lines as nested lists, as HTML."""
        return Markup(f'<ul class="tree">{self._folder(self.tree.root, is_open=True)}</ul>')

    def _around(self, number: int) -> int:
        """The approximate size of the HTML around a line: lists, and the last line of a directory."""
        return 260 if number < self.n_folders else 10

    def _largest(self, most: int) -> Ints:
        """The largest directories and files; a directory's size includes its entries, so it precedes them."""
        tree = self.tree
        size = np.concatenate([tree.sums[:, SIZE], tree.entries["size"].to_numpy()])
        depth = np.concatenate([tree.depth, tree.depth[tree.folder] + 1])
        order = np.lexsort((depth, -size))
        return order[depth[order] <= _DEEPEST][:most]

    def _folder(self, number: int, *, is_open: bool = False) -> str:
        names = [self.lines[number].name]
        while number != self.tree.root and (only := self._only_folder(number)) is not None:
            number = only
            names.append(self.lines[number].name)
        line = self.lines[number]
        inner = [
            self._folder(child) if child < self.n_folders else f"<li>{''.join(self.lines[child])}</li>"
            for child in self.children[number]
        ]
        return (
            f"<li><details{' open' if is_open else ''}>"
            f"<summary>{line.before}{'/'.join(names)}{line.after}</summary>"
            f"<ul>{''.join(inner)}{self._rest(number)}</ul></details></li>\n"
        )

    def _only_folder(self, number: int) -> int | None:
        """The only entry of a directory, if it is a directory: both share a line."""
        children = self.children[number]
        if len(children) != 1 or children[0] >= self.n_folders or self._left_out(number).any():
            return None
        return children[0]

    def _rest(self, number: int) -> str:
        """The sums of a directory's entries that have no line."""
        rest = self._left_out(number)
        if not rest.any():
            return ""
        words = "smaller " if self.children[number] else ""
        counted = [
            (rest[FILES], f"{words}file", f"{words}files"),
            (rest[WASTED_FILES], "wasted file", "wasted files"),
            (rest[DIRECTORIES], "directory", "directories"),
        ]
        said = _listed([text.count(int(n), one, many) for n, one, many in counted if n])
        wasted = f", {text.size(int(rest[WASTED]))} of it wasted" if rest[WASTED] else ""
        return f'<li class="rest">{size_mark(rest[SIZE])}<i></i>and {said}{wasted}</li>'

    def _left_out(self, number: int) -> Ints:
        rest: Ints = self.tree.sums[number].copy()
        for child in self.children[number]:
            rest -= self.tree.sums[child] if child < self.n_folders else self._sums_of_file(child)
            rest[DIRECTORIES] -= child < self.n_folders
        return rest

    def _sums_of_file(self, number: int) -> Ints:
        entry = self.tree.entries.iloc[number - self.n_folders]
        found = np.zeros(len(SUMS), dtype=np.int64)
        is_wasted = isinstance(entry["cause"], str)
        found[[SIZE, WASTED_FILES if is_wasted else FILES]] = entry["size"], 1
        found[WASTED] = entry["size"] if is_wasted else 0
        return found

    def _lines(self, shown: Ints) -> list[Line]:
        folders = shown[shown < self.n_folders]
        layers = np.unique(self.tree.entries["layer"].to_numpy())
        by_layer = dict(zip(folders.tolist(), self.tree.by_layer(folders, layers), strict=True))
        files = self.tree.entries.iloc[shown[shown >= self.n_folders] - self.n_folders]
        rows = files.itertuples(index=False)
        return [
            folder_line(self.tree, number, by_layer[number], layers)
            if number < self.n_folders
            else file_line(next(rows))
            for number in shown.tolist()
        ]


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
