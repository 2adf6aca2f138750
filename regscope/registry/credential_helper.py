"""Credential helpers: the programs `docker-credential-NAME`, which store logins for docker and podman.

The protocol is that of github.com/docker/docker-credential-helpers: `get`, `store` or `erase` as the argument, the
server's address or a JSON object on standard input, and a JSON object on standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from typing import Any

from regscope.errors import RegscopeError
from regscope.registry.credentials import Login, login_from
from regscope.spec.json_forms import one_line
from regscope.text import plain

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # no separator: it must be found on the PATH and nowhere else
_LONGEST_ANSWER = 64 * 2**10
_BETWEEN_RENEWALS = 60  # seconds: whoever is refused with a new login lacks a permission
_NOTHING = b"credentials not found in native keychain"


class CredentialHelper:
    """The helper `name`, asked once about `server`, when a login is first needed.

    Args:
        name: as in docker's `credsStore`: `pass` means the program `docker-credential-pass` on the PATH.
        server: the address under which the login is stored.
        timeout: seconds; long enough for a user to type a passphrase.
    """

    def __init__(self, name: str, server: str, timeout: float = 60) -> None:
        self._name = name
        self._server = server
        self._timeout = timeout
        self._asked = False
        self._renewed_at: float | None = None
        self._login: Login | None = None
        self._error: RegscopeError | None = None
        self._lock = threading.Lock()

    def login(self, repository: str = "") -> Login | None:
        """The login that the helper has for the server, for all repositories; None where it has none.

        Raises:
            RegscopeError: there is no such program, or it fails, hangs or prints something else.
        """
        with self._lock:
            if not self._asked:
                try:
                    self._login = self._read(self._run("get", self._server))
                except RegscopeError as error:
                    self._error = error
                self._asked = True
        if self._error is not None:
            raise self._error
        return self._login

    def renew(self, refused: Login) -> bool:
        """Ask the helper again, at most once a minute: some give logins that expire, such as ecr-login."""
        with self._lock:
            if self._login is None or refused != self._login:
                return False
            if self._renewed_at is not None and time.monotonic() < self._renewed_at + _BETWEEN_RENEWALS:
                return False
            self._renewed_at = time.monotonic()
            with contextlib.suppress(RegscopeError):
                self._login = self._read(self._run("get", self._server)) or self._login
            return self._login != refused

    def store(self, username: str, secret: str) -> None:
        """Have the helper store a login for the server; it replaces an earlier one.

        Raises:
            RegscopeError: there is no such program, or it fails or hangs.
        """
        kept = one_line({"ServerURL": self._server, "Username": username, "Secret": secret})
        self._run("store", kept)

    def erase(self) -> None:
        """Have the helper erase the server's login.

        Raises:
            RegscopeError: there is no such program, or it fails or hangs.
        """
        self._run("erase", self._server)

    def __getstate__(self) -> dict[str, Any]:
        # The helper runs before the client is pickled: another machine has neither the helper nor its keys.
        with contextlib.suppress(RegscopeError):
            self.login()
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"CredentialHelper({self._name!r}, {self._server!r})"

    def _run(self, action: str, said: str) -> bytes | None:
        """The helper's output for the input `said`; None where it reports that it has no such login."""
        program = shutil.which(f"docker-credential-{self._name}") if _NAME.fullmatch(self._name) else None
        if program is None:
            raise self._failed("is not a program on the PATH", "Install it")
        try:
            code, answer = _ask([program, action], said, self._timeout)
        except TimeoutError:
            raise self._failed(f"did not answer within {self._timeout:g} s", self._try_it) from None
        except OSError as error:
            raise self._failed(f"cannot be run: {error.strerror}", self._try_it) from None
        if len(answer) > _LONGEST_ANSWER:
            raise self._failed(f"answered with more than {_LONGEST_ANSWER:,} bytes", self._try_it)
        if code and answer.strip() == _NOTHING:
            return None
        if code:  # its output is not quoted in the error: it may hold a secret
            raise self._failed(f"failed with exit code {code}", self._try_it)
        return answer

    def _read(self, answer: bytes | None) -> Login | None:
        if answer is None:
            return None
        try:
            document = json.loads(answer)
        except (ValueError, RecursionError):
            document = None
        found = document if isinstance(document, dict) else {}
        username, secret = found.get("Username"), found.get("Secret")
        if not isinstance(username, str) or not isinstance(secret, str) or bool(username) != bool(secret):
            raise self._failed("answered with something else than a login", self._try_it)
        return login_from(username, secret) if username else None

    @property
    def _try_it(self) -> str:
        return f"See what `echo {plain(self._server)} | docker-credential-{plain(self._name, 80)} get` says"

    def _failed(self, what: str, step: str) -> RegscopeError:
        return RegscopeError(
            f"the credential helper docker-credential-{plain(self._name, 80)}, which keeps the login for"
            f" {plain(self._server, 200)}, {what}",
            next_step=f"{step}, or give username and password by hand. Then open the registry again.",
        )


def _ask(command: list[str], said: str, timeout: float) -> tuple[int, bytes]:
    """The exit code and the output of a command; more output than the longest valid answer is not read.

    Raises:
        TimeoutError: it took longer than `timeout` (seconds).
    """
    timed_out = threading.Event()

    def give_up() -> None:
        timed_out.set()
        _end(process)

    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # its own session, so that its children can be ended with it
    ) as process:
        timer = threading.Timer(timeout, give_up)
        timer.start()
        try:
            code, answer = _converse(process, said)
        except BaseException:
            _end(process)
            raise
        finally:
            timer.cancel()
    if timed_out.is_set():
        raise TimeoutError
    return code, answer


def _converse(process: subprocess.Popen[bytes], said: str) -> tuple[int, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as question:  # a helper may exit without reading its input
        question.write(said.encode())
    answer = process.stdout.read(_LONGEST_ANSWER + 1)
    if len(answer) > _LONGEST_ANSWER:
        _end(process)
    return process.wait(), answer


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
