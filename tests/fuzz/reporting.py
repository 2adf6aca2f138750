"""What a run came to, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from tests.fuzz.running import CPU, MEMORY, Outcome

_HEAD = ("target", "inputs", "a second of CPU", "refused", "bugs", "slowest, ms of CPU", "memory, MB")


def as_table(outcomes: Sequence[Outcome], names: Sequence[str]) -> str:
    """A row for each target, and one for all of them; after it what was found, by name."""
    rows = [_HEAD, *map(_row, outcomes), _row(_in_all(outcomes))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines.append(f"An input may take {CPU:g} s of CPU and {MEMORY // 2**20} MB.")
    return "\n".join([*lines, *names])


def as_json(outcomes: Sequence[Outcome], names: Sequence[str]) -> str:
    """The same figures: seconds and bytes."""
    return json.dumps(
        {"targets": [asdict(each) for each in [*outcomes, _in_all(outcomes)]], "findings": names}, indent=1
    )


def _row(outcome: Outcome) -> tuple[str, ...]:
    return (
        outcome.target, f"{outcome.inputs:,}", f"{outcome.inputs / max(outcome.seconds, 0.001):,.0f}",
        f"{outcome.ours:,}", f"{outcome.bugs:,}", f"{outcome.slowest * 1000:.0f}", f"{outcome.peak / 2**20:.0f}",
    )  # fmt: skip


def _in_all(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        "all",
        sum(each.inputs for each in outcomes),
        sum(each.ours for each in outcomes),
        sum(each.bugs for each in outcomes),
        max((each.slowest for each in outcomes), default=0.0),
        sum(each.seconds for each in outcomes),
        max((each.peak for each in outcomes), default=0),
        sum(each.deaths for each in outcomes),
    )
