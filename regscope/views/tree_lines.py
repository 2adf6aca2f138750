"""A directory or a file of an image as one line of HTML: its bytes, layer and name, and why it is wasted."""

from __future__ import annotations

from typing import Any, NamedTuple

from regscope import text
from regscope.arrays import Ints
from regscope.views.file_map import COLOURS
from regscope.views.image_files import FILES, SIZE, WASTED, WASTED_FILES, FileTree
from regscope.views.table import exact_bytes

_NAME, _TARGET = 160, 120


class Line(NamedTuple):
    """One line of HTML: the part before the name, the name, and the part after it."""

    before: str
    name: str
    after: str


def folder_line(tree: FileTree, number: int, by_layer: Ints, layers: Ints) -> Line:
    """A directory, with a bar of its bytes by layer."""
    sums = tree.sums[number]
    name = tree.paths[number].rpartition("/")[2] if number != tree.root else ""
    files, wasted = int(sums[FILES]), int(sums[WASTED_FILES])
    said = [text.count(files, "file")] if files or not wasted else []
    about = ", ".join([*said, *([f"{wasted:,} wasted ({text.size(int(sums[WASTED]))})"] if wasted else [])])
    before = f"{size_mark(sums[SIZE])}{_bar(by_layer, layers)}<bdi>"
    return Line(before, text.escape(name, _NAME), f"/</bdi> <small>{about}</small>")


def file_line(entry: Any) -> Line:
    """A row of `image_entries`; a wasted file is struck through, with the cause."""
    path, kind, size, layer, cause, hidden_by, target = entry[:7]
    before = f'{size_mark(size)}<i class="c{layer % COLOURS}">{layer}</i>'
    name = text.escape(path.rpartition("/")[2] or text.ABSENT, _NAME)
    if isinstance(cause, str):
        return Line(f"{before}<s><bdi>", name, f"</bdi></s> <small>{_cause(cause, hidden_by)}</small>")
    about = "" if kind == "file" else f" <small>{text.escape(kind)}</small>"
    if isinstance(target, str):
        word = "→" if kind == "symlink" else "the same file as"
        about = f" <small>{word} <bdi>{text.escape(target, _TARGET)}</bdi></small>"
    return Line(f"{before}<bdi>", name, f"</bdi>{about}")


def _cause(cause: str, layer: int) -> str:
    words = {
        "overwritten": "overwritten by layer",
        "deleted": "deleted by layer",
        "attributes only": "written again with the same content by layer",
        "same content elsewhere": "moved by layer",
    }
    return f"{words.get(cause, text.escape(cause))} {layer}"


def size_mark(size: int) -> str:
    """A size; the tooltip has the exact bytes."""
    return f'<b title="{exact_bytes(size)}">{text.size(int(size))}</b>'


def _bar(by_layer: Ints, layers: Ints) -> str:
    """The bar of a directory's bytes by layer; layers with less than one percent are omitted."""
    total = int(by_layer.sum())
    shares = by_layer * 100 / total if total else by_layer
    parts, x = [], 0.0
    for layer, share in zip(layers.tolist(), shares.tolist(), strict=True):
        if share >= 1:
            parts.append(f'<rect class="c{layer % COLOURS}" x="{x:.0f}" width="{share:.0f}" height="8"/>')
        x += share
    return f'<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
