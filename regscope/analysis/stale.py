"""What has not been built for a long time."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.sharing import tag_weights
from regscope.errors import InvalidInput
from regscope.tables import Snapshot


def stale(snap: Snapshot, *, older_than: str | pd.Timedelta = "180d") -> pd.DataFrame:
    """Tags whose image was built longer ago than `older_than`, counted from when the snapshot was taken.

    An index is as old as its newest image. An unknown age is never old.

    Args:
        snap: the snapshot.
        older_than: such as `30d`, `12h` or a Timedelta.

    Returns:
        Oldest first: `repository`, `tag`, `digest` (str), `created` (UTC), `age` (timedelta), `unique` and
        `exclusive` (Int64, bytes: what the tag weighs, and what deleting it alone frees).

    Raises:
        InvalidInput: `older_than` is not a duration.
    """
    try:
        limit = pd.Timedelta(older_than)
    except ValueError:
        raise InvalidInput(f"{older_than!r} is not a duration", next_step="Write 30d, 12h or 90m.") from None
    table = tag_weights(snap)
    table["age"] = pd.Timestamp(snap.taken_at) - table["created"]
    table = table.loc[table["age"] > limit, ["repository", "tag", "digest", "created", "age", "unique", "exclusive"]]
    return table.sort_values(["created", "repository", "tag"], ignore_index=True)
