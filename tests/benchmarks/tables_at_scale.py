"""`sharing` and `what_if` over registries of up to ten million layer rows, each size in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import regscope as rs
from tests.benchmarks.large_snapshot import large_snapshot

SIZES = (10**5, 10**6, 10**7)


def at_scale(_: object = None, sizes: tuple[int, ...] = SIZES) -> list[dict[str, object]]:
    """Seconds, the memory above what the snapshot itself takes, and how each grows with ten times the rows."""
    rows: list[dict[str, object]] = []
    last: dict[str, float] = {}
    for size in sizes:
        command = [sys.executable, "-m", "tests.benchmarks.tables_at_scale", str(size)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for question in ("sharing", "what_if"):
            seconds = found[question]
            grown = f", × {seconds / last[question]:.1f} in time" if question in last else ""
            memory = (
                f"{found['peak'] / 2**20:,.0f} MiB at most, {found['snapshot'] / 2**20:,.0f} MiB of it the snapshot"
            )
            what = f"{question}, {found['rows']:,} layer rows"
            measured = f"{seconds:.2f} s{grown}; {memory}"
            rows.append({"part": "scale", "what": what, "measured": measured, "wanted": "× 10" if grown else ""})
            last[question] = seconds
    return rows


def _measured(size: int) -> dict[str, float]:
    snap = large_snapshot(size)
    before = _peak()
    started = time.monotonic()
    rs.sharing(snap)
    shared = time.monotonic() - started
    some = snap.tags[snap.tags["subject"].isna()].iloc[::10][["repository", "tag"]]
    started = time.monotonic()
    rs.what_if(snap, delete=some)
    asked = time.monotonic() - started
    return {"rows": len(snap.layers), "sharing": shared, "what_if": asked, "peak": _peak(), "snapshot": before}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(_measured(int(sys.argv[1]))))
