"""A server on this machine that answers each connection with the bytes at hand, and hangs up."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Answering:
    """One thread serves one connection after another.

    Attributes:
        answer: what the next connection gets.
    """

    def __init__(self) -> None:
        self.answer = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with connection, suppress(OSError):
                connection.recv(2**16)
                connection.sendall(self.answer)
