"""The size of the pieces in which content is read, so that memory does not grow with a file or a blob."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

PIECE = 2**20
"""Bytes: so many that reading takes longer than the calls for it, and so few that every thread can hold some."""


def pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    """What follows in an open file."""
    while piece := file.read(PIECE):
        yield piece
