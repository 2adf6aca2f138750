"""Running the command line as a user does: in a process of its own."""

from __future__ import annotations

import os
import pty
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
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
        folder = tmp_path / "work"
        folder.mkdir(exist_ok=True)
        streams = [tmp_path / f"{name}.stream" for name in ("in", "out", "err")]
        streams[0].write_text(stdin)
        command = forked(_command, [str(argument) for argument in arguments], folder, streams, **environment)
        command.join(120)
        assert command.exitcode is not None, "it did not end in time"
        return Ran(command.exitcode, *(stream.read_text(errors="replace") for stream in streams[1:]))

    return run_regscope


def on_a_terminal(arguments: Sequence[str], columns: int) -> str:
    """What `regscope` shows with these arguments on a terminal of so many columns; colours and bold are left out."""
    ours, theirs = pty.openpty()
    streams = [Path(os.devnull), Path(os.ttyname(theirs)), Path(os.devnull)]
    environment = {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    command = forked(_command, list(arguments), Path.cwd(), streams, **environment)
    read = b""
    while ours in wait([ours, command.sentinel]):
        read += os.read(ours, 65536)
    for end in (ours, theirs):
        os.close(end)
    command.join()
    assert command.exitcode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", read.decode().replace("\r", ""))


def _command(words: list[str], folder: Path, streams: list[Path]) -> None:
    os.chdir(folder)
    for number, (stream, flags) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        os.dup2(os.open(stream, flags | os.O_CREAT | os.O_TRUNC * bool(number), 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    sys.argv = ["regscope", *words]
    main.main()
