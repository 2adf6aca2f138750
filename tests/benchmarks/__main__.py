"""`python -m tests.benchmarks [PART …]`: one run, one table."""

from __future__ import annotations

import argparse
import platform
from datetime import date
from pathlib import Path

from tests.benchmarks import scans, transfers
from tests.benchmarks.explorer import explorer
from tests.benchmarks.files_at_scale import files_at_scale
from tests.benchmarks.layers import layers
from tests.benchmarks.plans_at_scale import plans_at_scale
from tests.benchmarks.startup import startup
from tests.benchmarks.tables_at_scale import at_scale

_ON_SERVERS = {"cold": scans.cold, "cpu": scans.cpu, "delay": scans.delay, "second": scans.second}
_MOVING = {
    "pull": transfers.pull,
    "push": transfers.push,
    "many": transfers.many,
    "between": transfers.between,
    "within": transfers.within,
}
_ALONE = {
    "startup": startup,
    "scale": at_scale,
    "plans": plans_at_scale,
    "layers": layers,
    "files": files_at_scale,
    "explorer": explorer,
}
_PARTS = [*_ON_SERVERS, *_MOVING, *_ALONE]
_README = Path(__file__).with_name("README.md")
_MARK = "<!-- last run -->\n"


def main() -> None:
    """Measure, print the table, and keep it where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(_PARTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="measure so many times and take the median (3)")
    parser.add_argument("--peers", help="a Python that has the peers; by default they are installed for the run")
    parser.add_argument("--write", action="store_true", help="keep the table in README.md")
    given = parser.parse_args()
    parts = given.parts or _PARTS
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rows: list[dict[str, object]] = []
    with scans.peers(given.peers) as python:
        if scanning := [_ON_SERVERS[part] for part in parts if part in _ON_SERVERS]:
            with scans.prepared(python, given.rounds) as bench:
                for scan in scanning:
                    rows += scan(bench)
        if moving := [_MOVING[part] for part in parts if part in _MOVING]:
            with transfers.prepared(python, given.rounds) as moved:
                for move in moving:
                    rows += move(moved)
    for part in parts:
        if part in _ALONE:
            rows += _ALONE[part]()
    table = _table(rows)
    print(table)
    if given.write:
        kept, mark, _ = _README.read_text().partition(_MARK)
        assert mark, f"{_README.name} has lost its mark"
        _README.write_text(f"{kept}{mark}{table}")


def _table(rows: list[dict[str, object]]) -> str:
    about = f"{date.today()}, {scans.machine()}, Python {platform.python_version()}, Linux {platform.release()}"
    lines = [f"{row['part']} | {row['what']} | {row['measured']} | {row['wanted']}" for row in rows]
    head = ["part | what | measured | wanted", "---|---|---|---"]
    return "\n".join([about, "", *(f"| {line} |" for line in [*head, *lines]), ""])


if __name__ == "__main__":
    main()
