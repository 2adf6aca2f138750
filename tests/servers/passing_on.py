"""What comes over two connections, for those who stand between them."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from typing import cast


def pieces_between(one: socket.socket, other: socket.socket) -> Iterator[tuple[socket.socket, socket.socket, bytes]]:
    """Each piece that comes over one of two connections, as (source, target, piece), until one of them ends."""
    with selectors.DefaultSelector() as readable:  # select() refuses descriptors above 1023
        readable.register(one, selectors.EVENT_READ, other)
        readable.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in readable.select():
                source = cast("socket.socket", key.fileobj)
                if not (piece := source.recv(65536)):
                    return
                yield source, key.data, piece
