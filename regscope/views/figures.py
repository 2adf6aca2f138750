"""The figures of a report's first screen: how much there is, and what can go."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from regscope import text
from regscope.analysis.layer_stacks import layer_stacks
from regscope.analysis.what_if import what_if
from regscope.tables import Snapshot
from regscope.views.table import exact_bytes


class Figure(NamedTuple):
    """One key figure: what it is called, its value, what it means, and its exact value."""

    label: str
    value: str
    meaning: str
    title: str = ""


def key_figures(snap: Snapshot, sharing: pd.DataFrame, stale: pd.DataFrame, older_than: str) -> list[Figure]:
    """What a reader asks first.

    Args:
        snap: the snapshot.
        sharing: of `regscope.sharing`.
        stale: of `regscope.stale`.
        older_than: the age that makes a tag stale, in words.
    """
    registry = sharing.iloc[0]
    stored, apart = int(registry["unique"]), int(registry["total"])
    freed = what_if(snap, delete=stale).freed_bytes
    facts = snap.facts()
    return [
        Figure(
            "Stored",
            text.size(stored),
            f"in {text.count(int((~snap.blobs['foreign']).sum()), 'distinct blob')}",
            exact_bytes(stored),
        ),
        Figure("Without sharing", text.size(apart), "if every manifest kept its own copy", exact_bytes(apart)),
        Figure("Deduplication", f"{registry['dedup_ratio']:.2f}×", "layer bytes used per layer byte kept"),
        Figure(
            "Held by stale tags alone",
            text.size(freed),
            _freed_by(len(stale), older_than, exact=snap.sees_everything),
            exact_bytes(freed),
        ),
        Figure("Repositories", facts["repositories"], "with a manifest that could be read"),
        Figure("Tags", facts["tags"], f"{len(stale):,} older than {older_than}"),
        Figure("Images", facts["images"], f"indexes: {facts['indexes']}, artifacts: {facts['artifacts']}"),
        Figure("Problems", f"{len(snap.problems):,}", "things that could not be read"),
    ]


def figures_of_files(
    snap: Snapshot, waste: pd.DataFrame, duplicates: pd.DataFrame, twins: pd.DataFrame, secrets: pd.DataFrame
) -> list[Figure]:
    """What a reader asks first of the files within the layers.

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


def _freed_by(tags: int, older_than: str, *, exact: bool) -> str:
    if not tags:
        return f"no tag is older than {older_than}"
    which = "the tag" if tags == 1 else f"all {tags:,} tags"
    return f"deleting {which} older than {older_than} frees {'this' if exact else 'at most this'}"
