"""Work that goes on in a thread of its own while what it has made is used."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import TypeVar

_Item = TypeVar("_Item")
_WAITING = 8


def ahead(items: Iterable[_Item]) -> Iterator[_Item]:
    """`items` as they come, a few of them made before they are asked for. Left early, it makes no more."""
    made: SimpleQueue[_Item | _End] = SimpleQueue()  # `room` bounds it
    room = threading.Semaphore(_WAITING)
    left = threading.Event()

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                made.put(item)
                room.acquire()
                if left.is_set():
                    return
        except BaseException as raised:
            error = raised
        made.put(_End(error))

    worker = threading.Thread(target=make, name="regscope-unpack", daemon=True)
    worker.start()
    try:
        while not isinstance(item := made.get(), _End):
            yield item
            room.release()
        if item.error is not None:
            raise item.error
    finally:
        left.set()
        room.release()
        worker.join()


class _End:
    """After the last item: the error that there was, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
