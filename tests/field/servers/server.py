"""What the tests know of a server in the field: where it is, who may log in, and what it does at all."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

CACHE = "FIELD_CACHE"
"""The variable that names the folder into which `.ci/field` builds and installs the servers."""


class NotStarted(Exception):
    """A server did not come up; the message ends with the last lines of its log."""


class FieldServer:
    """A server with its own storage on a loopback port; use it as a context manager.

    Attributes:
        name: as RESULTS.md has it.
        prefix: what the name of every repository there begins with.
        username, password: of somebody who may do everything; None where nobody logs in.
        takes_pushes, deletes, moves_tags: what it does at all. The tests of what a server refuses are run against
            those that do not, and the other tests against those that do.
    """

    name: ClassVar[str]
    prefix: ClassVar[str] = ""
    username: ClassVar[str | None] = None
    password: ClassVar[str | None] = None
    takes_pushes: ClassVar[bool] = True
    deletes: ClassVar[bool] = True
    moves_tags: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._running = ExitStack()

    @property
    def host(self) -> str:
        """Host and port, as they stand in the names of images."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{self.host}"

    @property
    def origin(self) -> FieldServer:
        """Where content is pushed to so that it is found here: this server, but for one that passes others' on."""
        return self

    def login(self) -> dict[str, Any]:
        """The arguments with which regscope logs in."""
        return {} if self.username is None else {"username": self.username, "password": self.password}

    def start(self) -> None:
        """Start it and wait until it answers."""
        raise NotImplementedError

    def collect(self) -> None:
        """Run its garbage collection to the end; nothing where it has none."""

    def settle(self) -> None:
        """Wait until it has done what it said that it would do; nothing where it has done what it says."""

    def run(self, command: Sequence[str | Path], log: str, **options: Any) -> subprocess.Popen[bytes]:
        """Run a program beside the tests until the server is left; `log` is the name of its log in the folder."""
        with (self.folder / log).open("ab") as file:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **options)
        self._running.callback(_end, process)
        return process

    def wait(self, process: subprocess.Popen[bytes], url: str, log: str, seconds: float = 60) -> None:
        """Wait until something answers at `url`, whatever it says."""
        ask = build_opener(ProxyHandler({})).open
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            try:
                ask(url, timeout=5).close()
            except HTTPError as error:
                error.close()
                if error.code < 500:
                    return
            except (URLError, OSError):
                pass
            else:
                return
            time.sleep(0.1)
        state = "did not answer in time" if process.poll() is None else f"ended with {process.returncode}"
        lines = (self.folder / log).read_text(errors="replace").splitlines()[-15:]
        raise NotStarted("\n".join([f"{self.name} {state}", *lines]))

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.close()


def built(*path: str) -> Path:
    """Something that `.ci/field` has built or installed.

    Raises:
        NotStarted: it is not there.
    """
    found = Path(os.environ.get(CACHE, "")).joinpath(*path)
    if not os.environ.get(CACHE) or not found.exists():
        raise NotStarted(f"{'/'.join(path)} is not there: `.ci/field` builds and installs it")
    return found


def finished(command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None, **options: Any) -> None:
    """Run a program to its end.

    Raises:
        NotStarted: it failed.
    """
    with log.open("ab") as file:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=300, env=env, **options
        )
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()[-15:]
        raise NotStarted("\n".join([f"{command[0]} ended with {done.returncode}", *lines]))


def free_port() -> int:
    """A port that nobody listens at, for programs that cannot choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
