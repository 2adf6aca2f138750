"""`python -m tests.fuzz [TARGET …]`: one run, one table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.running import Outcome
    from tests.fuzz.target import Target


def main() -> None:
    """Fuzz, print the table, and fail where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all by default; --list names them")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--inputs", type=int, help="in all; by default what each target has for its share")
    parser.add_argument("--seed", type=int, default=0, help="another number makes other inputs (0)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each target, at most")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at once (one for each core)")
    parser.add_argument("--findings", type=Path, help="folder for inputs that fail; a new one by default")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--atheris", metavar="TARGET", help="let atheris look for new paths through one target, alone")
    given = parser.parse_args()
    findings = given.findings or Path(tempfile.mkdtemp(prefix="regscope-fuzz-"))
    if given.atheris:
        from tests.fuzz.coverage_guided import fuzz

        fuzz(given.atheris, given.inputs or -1, given.seed, given.seconds, findings)
    from tests.fuzz.targets import TARGETS  # after atheris, which must see it imported

    if unknown := set(given.targets) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if given.list:
        print("\n".join(TARGETS))
        return
    sys.exit(_run(given, [TARGETS[name] for name in given.targets or TARGETS], findings))


def _run(given: argparse.Namespace, targets: Sequence[Target], folder: Path) -> int:
    """The exit code: 1 where something was found."""
    from tests.fuzz.findings import Findings
    from tests.fuzz.reporting import as_json, as_table
    from tests.fuzz.running import run

    findings = Findings(folder)
    shares = sum(target.share for target in targets)
    inputs = shares * 1000 if given.inputs is None else given.inputs

    def fuzz(target: Target) -> Outcome:
        outcome = run(target, -(-inputs * target.share // shares), given.seed, given.seconds, findings)
        print(f"{target.name}: {outcome.inputs:,} in {outcome.seconds:.0f} s of CPU", file=sys.stderr, flush=True)
        return outcome

    with ThreadPoolExecutor(given.processes) as several:
        # Those with small shares take long for each input: last, one of them would keep all waiting.
        found = {each.target: each for each in several.map(fuzz, sorted(targets, key=lambda target: target.share))}
    outcomes = [found[target.name] for target in targets]
    print((as_json if given.json else as_table)(outcomes, findings.names))
    if findings.names:
        print(f"Findings are in {folder}", file=sys.stderr)
    return 1 if any(outcome.bugs for outcome in outcomes) else 0


if __name__ == "__main__":
    main()
