"""The key figures of a report: numbers of repositories, tags and images, and figures of their files."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from regscope import text
from regscope.analysis.layer_stacks import layer_stacks
from regscope.tables import Snapshot
from regscope.views.table import exact_bytes


class Figure(NamedTuple):
    """A key figure: its name, its value, its meaning, and its exact value."""

    label: str
    value: str
    meaning: str
    title: str = ""


def key_figures(snap: Snapshot, sharing: pd.DataFrame, stale: pd.DataFrame, older_than: str) -> list[Figure]:
    """The numbers of repositories, tags and images, and the deduplication ratio.

    Args:
        snap: the snapshot.
        sharing: the result of `regscope.sharing`.
        stale: the result of `regscope.stale`.
        older_than: the age that makes a tag stale, in words.
    """
    facts = snap.facts()
    return [
        Figure("Repositories", facts["repositories"], "with a manifest that could be read"),
        Figure("Tags", facts["tags"], f"{len(stale):,} older than {older_than}"),
        Figure("Images", facts["images"], f"indexes: {facts['indexes']}, artifacts: {facts['artifacts']}"),
        Figure(
            "Deduplication",
            f"{sharing['dedup_ratio'].iloc[0]:.2f}×",
            "layer bytes of all images, per stored layer byte",
        ),
    ]


def figures_of_files(
    snap: Snapshot, waste: pd.DataFrame, duplicates: pd.DataFrame, twins: pd.DataFrame, secrets: pd.DataFrame
) -> list[Figure]:
    """Figures of the files in layers: wasted and duplicate bytes, twin layers, and secrets.

    Args:
        snap: the snapshot.
        waste: the result of `regscope.waste`.
        duplicates: the result of `regscope.file_duplicates`.
        twins: the result of `regscope.twins`.
        secrets: the result of `regscope.secrets`.
    """
    layers = layer_stacks(snap)
    images, pulled, wasted = layers["digest"].nunique(), int(layers["size"].sum()), int(waste["compressed"].sum())
    hidden = int(secrets["deleted"].sum())
    copies, saved = int(duplicates["wasted_stored"].sum()), int(twins["saved"].sum())
    return [
        Figure(
            "Wasted in images",
            text.size(wasted),
            f"about, in hidden files, of {text.size(pulled)} that pulling {text.count(images, 'image')} transfers",
            exact_bytes(wasted),
        ),
        Figure(
            "In equal files",
            text.size(copies),
            "about, in duplicate files of distinct layers",
            exact_bytes(copies),
        ),
        Figure("In twin layers", text.size(saved), "that reproducible builds would have saved", exact_bytes(saved)),
        Figure(
            "Secrets",
            f"{len(secrets):,}",
            f"files; deleted by a later layer, but still stored: {hidden:,}",
        ),
    ]
