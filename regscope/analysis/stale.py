"""What has not been built for a long time."""

from __future__ import annotations

import re
from datetime import timedelta

import pandas as pd

from regscope.analysis.documented import documented
from regscope.analysis.sharing import TAG_WEIGHTS, tag_weights
from regscope.errors import InvalidInput
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

_DURATION = re.compile(r"([0-9]+) ?([wWdDhHms])")
FIRST_IMAGES = pd.Timestamp("2013-01-01", tz="UTC")  # earlier times are what reproducible builders write for none
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


STALE = (
    *(column for column in TAG_WEIGHTS if column.name in ("repository", "tag", "digest", "created")),
    Column("age", "timedelta64[us]", "how long before the snapshot was taken that was"),
    *(column for column in TAG_WEIGHTS if column.name in ("unique", "exclusive")),
)


@takes_snapshot
@documented(columns=STALE)
def stale(snap: Snapshot, *, older_than: str | timedelta = "180d") -> pd.DataFrame:
    """Tags whose image was built longer ago than `older_than`, counted from when the snapshot was taken.

    An index is as old as its newest image. An unknown age is never old, and a time before there were container images,
    such as the 1970 and 1980 of reproducible builds, tells no age.

    Args:
        snap: the snapshot.
        older_than: such as `30d`, `12h` or a Timedelta; units are `w`, `d`, `h`, `m` (minutes) and `s`.

    Returns:
        Oldest first:

        {columns}

    Raises:
        InvalidInput: `older_than` is not a duration.
    """
    limit = duration(older_than)
    table = tag_weights(snap)
    table["age"] = pd.Timestamp(snap.taken_at) - table["created"]
    is_old = (table["age"] > limit) & (table["created"] >= FIRST_IMAGES)
    return recast(STALE, table[is_old]).sort_values(["created", "repository", "tag"], ignore_index=True)


def duration(value: object) -> pd.Timedelta:
    """A duration from zero up. A bare number is none: pandas would take it for nanoseconds."""
    try:
        if isinstance(value, str) and (written := _DURATION.fullmatch(value.strip())):
            value = timedelta(**{_UNITS[written[2].lower()]: int(written[1])})
        if isinstance(value, timedelta) and value >= timedelta(0):
            return pd.Timedelta(value)
    except (ValueError, OverflowError):
        pass
    raise InvalidInput(f"{value!r} is not a duration", next_step="Write 30d, 12h or 90m.")
