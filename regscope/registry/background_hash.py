"""Hashing in a thread of its own, while others read and write: all three let go of the interpreter meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Queue

from regscope.spec.digest import Digest, Passing, mismatch

_WAITING = 4  # pieces


def background_hash(passing: Passing, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces` as they come; `passing` has seen all of them once the iterator is exhausted."""
    waiting: Queue[bytes | None] = Queue(_WAITING)

    def hash_all() -> None:
        while (piece := waiting.get()) is not None:
            passing.take(piece)

    worker: threading.Thread | None = None
    last = b""
    try:
        for piece in pieces:
            if last and worker is None:  # a blob of one piece is not worth it
                worker = threading.Thread(target=hash_all, name="regscope-hash", daemon=True)
                worker.start()
            if worker is not None:
                waiting.put(last)
            last = piece
            yield piece
    finally:
        if worker is not None:
            waiting.put(None)
            worker.join()
    passing.take(last)


def verified_in_background(pieces: Iterable[bytes], digest: Digest, what: str) -> Iterator[bytes]:
    """`pieces` as they come, and DigestMismatch after the last if together they do not hash to `digest`."""
    passing = Passing(digest.algorithm)
    yield from background_hash(passing, pieces)
    if passing.digest != digest:
        raise mismatch(digest, passing.digest, what)
