"""The possible outcomes of a step, and lines of text on them."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from regscope.images.image_names import named

DONE, GONE, SKIPPED, LEFT, FAILED, WOULD = "done", "gone already", "skipped", "left", "failed", "would be done"
OUTCOMES = (DONE, GONE, SKIPPED, LEFT, FAILED, WOULD)


class Outcome(NamedTuple):
    """The outcome of a step: one of `OUTCOMES`, and a reason or None."""

    what: str
    reason: str | None = None


def outcome_lines(rows: pd.DataFrame) -> list[str]:
    """One line for each row of `repository`, `tag`, `digest`, `outcome` and `reason`."""
    return [
        f"{row['outcome']}: {named(row['repository'], row['name'])}: {row['reason']}"
        for row in rows.assign(name=rows["tag"].fillna(rows["digest"])).to_dict("records")
    ]
