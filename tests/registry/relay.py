"""A relay of bytes that counts connections."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Relay:
    """Passes each connection on to a port of this machine; `connections` counts them."""

    def __init__(self, upstream: int) -> None:
        self.connections = 0
        self._upstream = upstream
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
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
                self._start(self.pass_on, client, socket.create_connection(("127.0.0.1", self._upstream)))

    def pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what comes from either side, until one hangs up."""
        with client, server, contextlib.suppress(OSError):
            while True:
                for source in select.select([client, server], [], [])[0]:
                    if not (data := source.recv(65536)):
                        return
                    (server if source is client else client).sendall(data)


class CuttingRelay(Relay):
    """Hangs up, once, on whoever has sent so many bytes over one connection."""

    def __init__(self, upstream: int, after: int) -> None:
        super().__init__(upstream)
        self._after = after
        self.cut = 0

    def pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what comes from either side, until one hangs up or it is time."""
        left = self._after if not self.cut else float("inf")
        with client, server, contextlib.suppress(OSError):
            while True:
                for source in select.select([client, server], [], [])[0]:
                    if not (data := source.recv(65536)):
                        return
                    (server if source is client else client).sendall(data)
                    left -= len(data) if source is client else 0
                    if left < 0:
                        self.cut += 1
                        return
