"""Plans over registries of up to a hundred thousand manifests, each size in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import regscope as rs
from tests.benchmarks.large_snapshot import LAYERS, large_snapshot
from tests.benchmarks.scans import Row, row

SIZES = (10_000, 30_000, 100_000)
_POLICY = {
    "keep_last": 5,
    "older_than": "30d",
    "untagged": "7d",
    "orphans": True,
    "protect": ["*.0", "latest", "team/service-1"],
    "in_use": [f"registry.example.com/team/service-{number}:1.3" for number in range(500)],
}


def plans_at_scale(_: object = None, sizes: tuple[int, ...] = SIZES) -> list[Row]:
    """Seconds and memory of a plan, and how the time for each manifest grows."""
    rows: list[Row] = []
    first = 0.0
    for size in sizes:
        command = [sys.executable, "-m", "tests.benchmarks.plans_at_scale", str(size)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        each = found["seconds"] / found["manifests"]
        first = first or each
        measured = (
            f"{found['seconds']:.2f} s, × {each / first:.2f} for each manifest; "
            f"{found['peak'] / 2**20:,.0f} MiB at most; {found['steps']:,} steps"
        )
        rows.append(row("plans", f"{found['manifests']:,} manifests", measured, "× 1; ≤ 2,048 MiB"))
    return rows


def _measured(manifests: int) -> dict[str, float]:
    rs.plan(large_snapshot(LAYERS), rs.Retention(**_POLICY))  # modules are imported on first use
    snap = large_snapshot(manifests * LAYERS)
    started = time.monotonic()
    plan = rs.plan(snap, rs.Retention(**_POLICY))
    return {
        "manifests": len(snap.manifests),
        "seconds": time.monotonic() - started,
        "steps": len(plan.steps),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(_measured(int(sys.argv[1]))))
