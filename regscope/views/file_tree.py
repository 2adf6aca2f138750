"""The files of one image as a page: their bytes, the layers that added them, and wasted files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regscope import text
from regscope.analysis.image_choice import choose_one
from regscope.analysis.layer_stacks import layer_stacks
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot
from regscope.views.figures import Figure
from regscope.views.file_map import COLOURS, file_map
from regscope.views.folded_tree import folded_tree
from regscope.views.image_files import DIRECTORIES, FILES, SIZE, WASTED, WASTED_FILES, FileTree, image_entries, tree_of
from regscope.views.page import Page, rendered
from regscope.views.table import Cell, Column, Table, code, count, digest, exact_bytes, size, table


@dataclass(frozen=True, repr=False)
class FilePage(Page):
    """The files of an image as one HTML file, without scripts and external resources.

    Attributes:
        title: the heading.
        html: the whole page.
    """

    what = "a file tree"
    suggested_name = "files.html"


@takes_snapshot
def file_tree(snap: Snapshot, image: str, *, platform: str | None = None) -> FilePage:
    """A page on the files of one image: a treemap, the layers, and a tree of directories, coloured by layer.

    Bytes are those of the content of regular files, uncompressed. A file that a later layer hides is struck through,
    with the reason: it is still stored. The largest directories and files have a line each; the others of a directory
    share one line, so that the totals add up.

    Args:
        snap: the snapshot, with the files of the image's layers (see `scan_files`).
        image: `repository:tag`, `repository@digest` or a digest.
        platform: the platform of an index's image, such as `linux/arm64`.

    Returns:
        A page that a notebook displays; `save` writes it to a file.

    Raises:
        InvalidInput: `image` is the name of no image, or of several; or some of its layers were not read.
        InvalidPlatform: `platform` is no valid platform.
    """
    found = choose_one(snap, image, platform)
    tree = tree_of(image_entries(snap, found))
    layers = layer_stacks(snap, [found])
    heading = text.plain(f"Files of {image}", 200)
    page = rendered(
        "file_tree.html.j2",
        styles=("interface_colours.css", "report.css", "layer_colours.css", "file_tree.css"),
        title=heading,
        about=text.plain(" · ".join(filter(None, [snap.location, platform, found])), 500),
        figures=_figures(tree, len(layers)),
        maps={
            "wide": file_map(tree, 1120, 480, most_files=300, most_boxes=30),
            "narrow": file_map(tree, 360, 480, most_files=80, most_boxes=14),
        },
        legend=_legend(tree, layers),
        tree=folded_tree(tree),
    )
    return FilePage(heading, page)


def _figures(tree: FileTree, layers: int) -> list[Figure]:
    sums = [int(number) for number in tree.sums[tree.root]]
    share = sums[WASTED] / sums[SIZE] if sums[SIZE] else 0.0
    return [
        Figure("In the layers", text.size(sums[SIZE]), "content of files, uncompressed", exact_bytes(sums[SIZE])),
        Figure(
            "Wasted",
            text.size(sums[WASTED]),
            f"{text.percent(share)}, in {text.count(sums[WASTED_FILES], 'file')} that no container sees",
            exact_bytes(sums[WASTED]),
        ),
        Figure("Files", f"{sums[FILES]:,}", f"in {text.count(sums[DIRECTORIES] + 1, 'directory', 'directories')}"),
        Figure("Layers", f"{layers:,}", "each with a colour and a number, from the lowest"),
    ]


def _legend(tree: FileTree, layers: pd.DataFrame) -> Table:
    entries = tree.entries
    sums = entries.groupby("layer")["size"].sum()
    wasted = entries[entries["cause"].notna()].groupby("layer")["size"].sum()
    files = entries.groupby("layer").size()
    position = layers["position"]
    found = layers.assign(
        content=position.map(sums).fillna(0).astype("int64"),
        wasted=position.map(wasted).fillna(0).astype("int64"),
        files=position.map(files).fillna(0).astype(np.int64),
    )
    columns = [
        Column("Layer", "position", _mark),
        Column("Build line", "instruction", code),
        Column("As stored", "size", size),
        Column("Content", "content", size),
        Column("Wasted", "wasted", size),
        Column("Files", "files", count),
        Column("Digest", "blob_digest", digest),
    ]
    return table(found, columns, weight="content", top=130)


def _mark(position: int) -> Cell:
    return Cell(str(position), value=str(position), style="mark", mark=f"c{position % COLOURS}")
