"""Running the command line as a user does: in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from regscope.cli import main
from tests.forked import forked


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
        streams = [tmp_path / f"{name}.stream" for name in ("in", "out", "err")]
        streams[0].write_text(stdin)
        words = [str(argument) for argument in arguments]
        command = forked(_command, words, streams, **environment)
        command.join(120)
        assert command.exitcode is not None, "it did not end in time"
        return Ran(command.exitcode, *(stream.read_text(errors="replace") for stream in streams[1:]))

    return run_regscope


def _command(words: list[str], streams: list[Path]) -> None:
    os.chdir(streams[0].parent / "work")
    for number, (stream, flags) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        os.dup2(os.open(stream, flags | os.O_CREAT | os.O_TRUNC * bool(number), 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    sys.argv = ["regscope", *words]
    main.main()
