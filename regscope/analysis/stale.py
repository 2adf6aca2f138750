"""Tags whose images were built long ago."""

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
FIRST_IMAGES = pd.Timestamp("2013-01-01", tz="UTC")  # earlier times are placeholders of reproducible builds
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


STALE = (
    *(column for column in TAG_WEIGHTS if column.name in ("repository", "tag", "digest", "created")),
    Column("age", "timedelta64[us]", "time from `created` to the snapshot"),
    *(column for column in TAG_WEIGHTS if column.name in ("unique", "exclusive")),
)


@takes_snapshot
@documented(columns=STALE)
def stale(snap: Snapshot, *, older_than: str | timedelta = "180d") -> pd.DataFrame:
    """Tags whose image was built more than `older_than` before the snapshot was taken.

    The age of an index is that of its newest image. Tags of unknown age are left out, as are tags with a build time
    before 2013, when there were no container images: reproducible builds write such times, for example 1970 and 1980.

    Args:
        snap: the snapshot.
        older_than: a duration such as `30d`, `12h` or a timedelta; units: `w`, `d`, `h`, `m` (minutes) and `s`.

    Returns:
        One row for each tag, oldest first:

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
    """`value` as a duration, at least zero. A number without a unit is an error: pandas would read nanoseconds."""
    try:
        if isinstance(value, str) and (written := _DURATION.fullmatch(value.strip())):
            value = timedelta(**{_UNITS[written[2].lower()]: int(written[1])})
        if isinstance(value, timedelta) and value >= timedelta(0):
            return pd.Timedelta(value)
    except (ValueError, OverflowError):
        pass
    raise InvalidInput(f"{value!r} is not a duration", next_step="Give a number with a unit, such as 30d, 12h or 90m.")
