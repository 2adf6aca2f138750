"""A server that answers with the very bytes that it is given: what no real one can be made to send."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Self

Answer = bytes | Callable[[], Iterable[bytes]]
"""The bytes of an answer, or what makes them, piece by piece and maybe without end."""


class RawServer:
    """Answers the requests that come, one after another, with `answers`; the last one is for all that follow.

    A connection is kept open unless `hangs_up`. Use it as a context manager.
    """

    def __init__(self, *answers: Answer, hangs_up: bool = False) -> None:
        self._answers: Sequence[Answer] = answers
        self._hangs_up = hangs_up
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.requests: list[bytes] = []
        self.connections = 0

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        waiting = b""
        with contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in waiting:
                    if not (more := connection.recv(65536)):
                        return
                    waiting += more
                request, _, waiting = waiting.partition(b"\r\n\r\n")
                with self._lock:
                    answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
                    self.requests.append(request)
                for piece in [answer] if isinstance(answer, bytes) else answer():
                    connection.sendall(piece)
                if self._hangs_up:
                    connection.shutdown(socket.SHUT_RDWR)
                    connection.close()
                    return
