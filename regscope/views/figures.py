"""The figures under the answers of a report: how many things there are, and what is in their files."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from regscope import text
from regscope.analysis.layer_stacks import layer_stacks
from regscope.tables import Snapshot
from regscope.views.table import exact_bytes


class Figure(NamedTuple):
    """One key figure: what it is called, its value, what it means, and its exact value."""

    label: str
    value: str
    meaning: str
    title: str = ""


def key_figures(snap: Snapshot, sharing: pd.DataFrame, stale: pd.DataFrame, older_than: str) -> list[Figure]:
    """How many things there are, and how well they share.

    Args:
        snap: the snapshot.
        sharing: of `regscope.sharing`.
        stale: of `regscope.stale`.
        older_than: the age that makes a tag stale, in words.
    """
    facts = snap.facts()
    return [
        Figure("Repositories", facts["repositories"], "with a manifest that could be read"),
        Figure("Tags", facts["tags"], f"{len(stale):,} older than {older_than}"),
        Figure("Images", facts["images"], f"indexes: {facts['indexes']}, artifacts: {facts['artifacts']}"),
        Figure("Deduplication", f"{sharing['dedup_ratio'].iloc[0]:.2f}×", "layer bytes used per layer byte kept"),
    ]


def figures_of_files(
    snap: Snapshot, waste: pd.DataFrame, duplicates: pd.DataFrame, twins: pd.DataFrame, secrets: pd.DataFrame
) -> list[Figure]:
    """What the files within the layers waste, hold twice, and should not hold.

    Args:
        snap: the snapshot.
        waste: of `regscope.waste`.
        duplicates: of `regscope.file_duplicates`.
        twins: of `regscope.twins`.
        secrets: of `regscope.secrets`.
    """
    layers = layer_stacks(snap)
    images, pulled, wasted = layers["digest"].nunique(), int(layers["size"].sum()), int(waste["compressed"].sum())
    hidden = int(secrets["deleted"].sum())
    copies, saved = int(duplicates["wasted_stored"].sum()), int(twins["saved"].sum())
    return [
        Figure(
            "Wasted in images",
            text.size(wasted),
            f"about, in hidden files, of {text.size(pulled)} that pulling {text.count(images, 'image')} takes",
            exact_bytes(wasted),
        ),
        Figure(
            "In equal files",
            text.size(copies),
            "about, in copies of files that distinct layers hold",
            exact_bytes(copies),
        ),
        Figure("In twin layers", text.size(saved), "that reproducible builds would have saved", exact_bytes(saved)),
        Figure(
            "Secrets",
            f"{len(secrets):,}",
            f"files; hidden by a later layer, and served: {hidden:,}",
        ),
    ]
