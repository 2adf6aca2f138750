"""Processes that have imported already what tests run in them: to import it takes longer than most runs."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

# One list for all: the first process that is wanted starts the one that they are forked from.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([
    "regscope.cli.main", "regscope.scanning.files", "regscope.images.copying", "regscope.views.report",
    "regscope.analysis.waste", "regscope.analysis.twins", "regscope.analysis.diff", "rich.table",
    "regscope.stores.open_store", "regscope.remediation.applying",
    "tests.cli.conftest", "tests.images.test_killed", "tests.remediation.test_killed",
])  # fmt: skip


def forked(do: Callable[..., object], *arguments: Any, **environment: str) -> BaseProcess:
    """Start a process that calls `do`, with the variables that this one has now, and those given."""
    process = _PROCESSES.Process(target=_run, args=({**os.environ, **environment}, do, arguments))
    process.start()
    return process


def _run(environment: dict[str, str], do: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    do(*arguments)
