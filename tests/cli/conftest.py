"""Running the command line as a user does: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `regscope` with arguments, in an empty folder."""

    def run_regscope(*arguments: object, stdin: str = "", **environment: str) -> Ran:
        (tmp_path / "work").mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "regscope", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path / "work",
            env={**os.environ, **environment},
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run_regscope
