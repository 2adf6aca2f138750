"""The time of the first known sighting of each manifest, from earlier snapshots."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from regscope.schema import FIRST_SEEN, TIME, recast
from regscope.tables import Snapshot


def first_seen(earlier: Sequence[Snapshot], snap: Snapshot) -> pd.DataFrame:
    """For each manifest of `snap`, the time of the first snapshot with it, from `earlier` and their own `first_seen`.

    Returns:
        The columns of `FIRST_SEEN`; manifests that no earlier snapshot has are left out.
    """
    seen = [each.first_seen for each in earlier]
    seen += [pd.DataFrame({"digest": each.manifests["digest"], "at": pd.Timestamp(each.taken_at)}) for each in earlier]
    if not seen:
        return snap.first_seen
    table = pd.concat([each.astype({"digest": "str", "at": TIME}) for each in seen])
    table = table[table["digest"].isin(snap.manifests["digest"].astype("str"))]
    earliest = table.groupby("digest")["at"].min()
    return recast(FIRST_SEEN, pd.DataFrame({"digest": earliest.index, "at": earliest.to_numpy()}))
