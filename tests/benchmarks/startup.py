"""How long it takes to begin."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

_ROUNDS = 9


def startup(_: object = None) -> list[dict[str, object]]:
    """Medians of fresh processes, in turns."""
    command = Path(sys.executable).with_name("regscope")
    commands = {
        "import pandas": [sys.executable, "-c", "import pandas"],
        "import pandas, regscope, and its open and scan": [
            sys.executable, "-c", "import pandas, regscope as rs; rs.open; rs.scan",
        ],
        "regscope --help": [str(command), "--help"],
    }  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_ROUNDS):
        for name, arguments in commands.items():
            started = time.monotonic()
            subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
            found[name].append(1000 * (time.monotonic() - started))
    medians = {name: statistics.median(values) for name, values in found.items()}
    pandas, both, _ = medians.values()
    rows = [{"part": "startup", "what": name, "measured": f"{ms:.0f} ms", "wanted": ""} for name, ms in medians.items()]
    rows[-1]["wanted"] = "≤ 300 ms"
    added = {"part": "startup", "what": "regscope adds to pandas", "measured": f"{both - pandas:.0f} ms"}
    return [*rows, {**added, "wanted": "≤ 150 ms"}]
