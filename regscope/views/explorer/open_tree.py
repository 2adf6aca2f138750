"""The files of an image as a tree; the browser gets only the open directories."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from regscope import text
from regscope.views.image_files import SIZE, FileTree
from regscope.views.tree_lines import file_line, folder_line

FEW = 50


def open_tree(
    tree: FileTree, opened: Set[str], more: Mapping[str, int], copies: pd.Series[int], picked: str | None
) -> Markup:
    """The open directories of `tree` as nested lists, the largest entries first.

    Args:
        tree: the tree of an image.
        opened: the paths of the open directories.
        more: the number of entries shown, by directory, if it is not `FEW`.
        copies: the number of files of the registry with a content, by sha256, if it is more than one.
        picked: the path of the picked directory or file.
    """
    return _OpenTree(tree, opened, more, copies, picked).markup()


def chain_below(tree: FileTree, number: int) -> list[int]:
    """A directory, and the directories below it that are their parent's only entry: these are opened together."""
    chain = [number]
    while not (tree.folder == chain[-1]).any() and len(below := np.flatnonzero(tree.parent == chain[-1])) == 1:
        chain.append(int(below[0]))
    return chain


class _OpenTree:
    def __init__(
        self, tree: FileTree, opened: Set[str], more: Mapping[str, int], copies: pd.Series[int], picked: str | None
    ) -> None:
        self.tree, self.opened, self.more, self.copies, self.picked = tree, opened, more, copies, picked
        self.layers = np.unique(tree.entries["layer"].to_numpy())
        self.file_sizes = tree.entries["size"].to_numpy()

    def markup(self) -> Markup:
        """The root with its open directories, as HTML."""
        return Markup(f'<ul class="tree" data-roving>{self._folder(self.tree.root)}</ul>')

    def _folder(self, number: int) -> str:
        path = self.tree.paths[number]
        is_open = path in self.opened
        by_layer = self.tree.by_layer(np.array([number]), self.layers)[0]
        line = "".join(folder_line(self.tree, number, by_layer, self.layers))
        inner = f"<ul>{self._inside(number)}</ul>" if is_open else ""
        return f"<li>{self._button('folder', number, path, line, is_open=is_open)}{inner}</li>"

    def _inside(self, number: int) -> str:
        folders, files = np.flatnonzero(self.tree.parent == number), np.flatnonzero(self.tree.folder == number)
        sizes = np.concatenate([self.tree.sums[folders, SIZE], self.file_sizes[files]])
        order = np.argsort(-sizes, kind="stable")
        most = self.more.get(self.tree.paths[number], FEW)
        lines = [
            self._folder(int(folders[at])) if at < len(folders) else self._file(int(files[at - len(folders)]))
            for at in order[:most]
        ]
        left_out = order[most:]
        if len(left_out):
            said = f"{text.count(len(left_out), 'smaller one')}: {text.size(int(sizes[left_out].sum()))}"
            button = f'<button type="button" data-do="more" data-value="{number}">{said}</button>'
            lines.append(f'<li class="rest">{button}</li>')
        return "".join(lines)

    def _file(self, row: int) -> str:
        entry: Any = next(self.tree.entries.iloc[[row]].itertuples(index=False))
        line = file_line(entry)
        return f"<li>{self._button('file', row, entry.path, ''.join(line) + self._copies(entry))}</li>"

    def _copies(self, entry: Any) -> str:
        """How often the registry stores the same content, as HTML; empty if once."""
        many = self.copies.get(entry.sha256) if isinstance(entry.sha256, str) else None
        return f' <small class="copies">stored {many:,} times</small>' if many else ""

    def _button(self, action: str, number: int, path: str, line: str, *, is_open: bool | None = None) -> str:
        expanded = "" if is_open is None else f' aria-expanded="{str(is_open).lower()}"'
        style = ' class="picked"' if path == self.picked else ""
        return f'<button type="button"{style} data-do="{action}" data-value="{number}"{expanded}>{line}</button>'
