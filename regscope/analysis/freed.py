"""Which blobs come back when manifests go."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order, taken
from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Bools, Ints, distinct


def freed_blobs(held: Holdings, gone: Bools) -> Ints:
    """The blobs that no placement which stays still uses."""
    return np.flatnonzero(_used(held, gone) & ~_used(held, ~gone))


def _used(held: Holdings, nodes: Bools) -> Bools:
    """For each blob, whether one of `nodes` uses it."""
    used = np.zeros(len(held.blobs), dtype=np.bool_)
    _, blobs = held.spared.of(distinct(held.node_manifest[nodes]))
    used[blobs] = True
    return used


def largest_first(held: Holdings, blobs: Ints) -> Ints:
    """These blobs, the largest first, and by their digests where they are of one size."""
    table = pd.DataFrame({"blob": blobs, "size": held.blob_size[blobs], "digest": held.blobs[blobs]})
    ordered: Ints = in_order(table, {"size": "descending", "digest": "ascending"})["blob"].to_numpy()
    return ordered


def blob_table(held: Holdings, blobs: Ints) -> pd.DataFrame:
    """These blobs in their order: `digest` (str), `kind` (category), `size` (int64, bytes)."""
    return pd.DataFrame(
        {
            "digest": held.blobs[blobs],
            "kind": taken(held.snap.blobs["kind"], blobs),
            "size": held.blob_size[blobs],
        }
    )
