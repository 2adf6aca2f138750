"""`file_duplicates` and `twins` over up to ten million files on disk, each question in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import regscope as rs
from tests.benchmarks.large_files import write_large

SIZES = (10**6, 3 * 10**6, 10**7)
QUESTIONS = {
    "file_duplicates": rs.file_duplicates,
    "twins": rs.twins,
    "twins, threshold 0.8": lambda snap: rs.twins(snap, threshold=0.8),
}


def files_at_scale(sizes: tuple[int, ...] = SIZES) -> list[dict[str, object]]:
    """Seconds and all memory of the process; the CPU seconds for each row against those for the fewest rows."""
    rows: list[dict[str, object]] = []
    first: dict[str, float] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            _in_a_process("write", str(size), folder)
            for question in QUESTIONS:
                found = json.loads(_in_a_process(question, folder))
                each = found["cpu"] / found["files"]
                ratio = each / first.setdefault(question, each)
                what = f"{question}, {found['files']:,} file rows"
                measured = (
                    f"{found['seconds']:.1f} s, {found['cpu']:.1f} s of CPU, × {ratio:.2f} for each row; "
                    f"{found['peak'] / 2**20:,.0f} MiB at most; an answer of {found['rows']:,} rows"
                )
                rows.append({"part": "files", "what": what, "measured": measured, "wanted": "× 1; ≤ 4,096 MiB"})
    return rows


def _in_a_process(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.benchmarks.files_at_scale", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _measured(question: str, folder: str) -> dict[str, float]:
    snap = rs.Snapshot.load(folder)
    started, cpu = time.monotonic(), time.process_time()
    table = QUESTIONS[question](snap)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"files": len(snap.files), "rows": len(table), "seconds": seconds, "cpu": cpu, "peak": peak}


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write_large(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(_measured(sys.argv[1], sys.argv[2])))
