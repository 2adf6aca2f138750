"""A relay of bytes: it counts what passes, and can be slow, or hang up."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from .passing_on import pieces_between


class Relay:
    """Passes each connection on to a port of this machine.

    Args:
        rate: bytes a second over one connection; as fast as it goes by default.
        host: the address of this machine to listen at.

    Attributes:
        connections: that were made.
        sent, received: bytes, as the clients see it.
    """

    def __init__(self, upstream: int, *, rate: float = float("inf"), host: str = "127.0.0.1") -> None:
        self.connections = self.sent = self.received = 0
        self._upstream = upstream
        self._rate = rate
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((host, 0))
        self.url = f"http://{host}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self._open:
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, run: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=run, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._open.append(client)
                self._start(self._pass_on, client, socket.create_connection(("127.0.0.1", self._upstream)))

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        sent = 0
        with client, server, contextlib.suppress(OSError):
            for source, target, piece in pieces_between(client, server):
                target.sendall(piece)
                self._count(source is client, len(piece))
                sent += len(piece) if source is client else 0
                time.sleep(len(piece) / self._rate)
                if self.is_enough(sent):
                    return

    def _count(self, sent: bool, number: int) -> None:
        with self._lock:
            if sent:
                self.sent += number
            else:
                self.received += number

    def is_enough(self, sent: int) -> bool:
        """Whether to hang up on who has sent so many bytes over one connection."""
        return False


class CuttingRelay(Relay):
    """Hangs up, once, on whoever has sent so many bytes over one connection."""

    def __init__(self, upstream: int, after: int) -> None:
        super().__init__(upstream)
        self._after = after
        self.cut = 0

    def is_enough(self, sent: int) -> bool:
        """Whether it is time, for the first time."""
        if self.cut or sent <= self._after:
            return False
        self.cut += 1
        return True
