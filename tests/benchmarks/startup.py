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
        "import pandas, regscope": [sys.executable, "-c", "import pandas, regscope"],
        "import pandas, regscope, and what open and scan need": [
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
    rows = [_row(name, milliseconds) for name, milliseconds in medians.items()]
    rows[-1]["wanted"] = "≤ 300 ms"
    pandas, imported, ready, _ = medians.values()
    rows.append({**_row("import regscope adds to import pandas", imported - pandas), "wanted": "≤ 150 ms"})
    return [*rows, _row("the first open and scan add", ready - imported)]


def _row(what: str, milliseconds: float) -> dict[str, object]:
    return {"part": "startup", "what": what, "measured": f"{milliseconds:.0f} ms", "wanted": ""}
