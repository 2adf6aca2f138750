"""Which blobs come back when manifests go."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order, strings
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


def blob_table(held: Holdings, freed: Ints) -> pd.DataFrame:
    """The blobs `freed`, largest first: `digest` (str), `kind` (category), `size` (int64, bytes)."""
    table = pd.DataFrame(
        {
            "digest": held.blobs[freed],
            "kind": pd.Categorical(strings(held.snap.blobs["kind"])[freed]),
            "size": held.blob_size[freed],
        }
    )
    return in_order(table, {"size": "descending", "digest": "ascending"})
