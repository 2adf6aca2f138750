"""Hashing in a background thread, beside reading and writing: all three release the GIL."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Queue

from regscope.spec.digest import Digest, Passing, mismatch

_WAITING = 4  # pieces


def background_hash(passing: Passing, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces`, unchanged and in order; `passing` has hashed all of them once the iterator is exhausted."""
    waiting: Queue[bytes | None] = Queue(_WAITING)

    def hash_all() -> None:
        while (piece := waiting.get()) is not None:
            passing.take(piece)

    worker: threading.Thread | None = None
    last = b""
    try:
        for piece in pieces:
            if last and worker is None:  # for a blob of one piece a thread costs more than it saves
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
    """`pieces`, unchanged and in order; DigestMismatch after the last one if they do not hash to `digest`."""
    passing = Passing(digest.algorithm)
    yield from background_hash(passing, pieces)
    if passing.digest != digest:
        raise mismatch(digest, passing.digest, what)
