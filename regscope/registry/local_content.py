"""The local side of a blob: a file, by its path or open."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from regscope.errors import InvalidInput
from regscope.pieces import pieces_of


def opened_anew(path: Path) -> IO[bytes]:
    """A new file to write; an existing file or link at the path is removed first, and a link is not followed."""
    path.unlink(missing_ok=True)
    return open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), "w+b")  # noqa: PTH123


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that is moved to `path` only without an error; a link at `path` is replaced, not followed."""
    part = path.with_name(f"{path.name}.part")
    try:
        with opened_anew(part) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class LocalContent:
    """Bytes to be sent, from the current position of an open file to its end.

    Args:
        local_path, fileobj: one of the two.

    Raises:
        InvalidInput: neither or both were given, or a file in text mode.
    """

    def __init__(self, local_path: Path | None, fileobj: IO[bytes] | None) -> None:
        if (local_path is None) == (fileobj is None):
            raise InvalidInput("a blob's content is either local_path or fileobj: give one of them")
        if isinstance(fileobj, io.TextIOBase):
            raise InvalidInput("a blob's content is bytes: open the file in binary mode")
        self._path = local_path
        self._file = fileobj
        self._start = fileobj.tell() if fileobj is not None and fileobj.seekable() else 0

    @classmethod
    def of(cls, content: bytes) -> LocalContent:
        """Content of a few bytes in memory."""
        return cls(None, io.BytesIO(content))

    @property
    def can_start_again(self) -> bool:
        """Whether it can be read more than once."""
        return self._file is None or self._file.seekable()

    @property
    def size(self) -> int | None:
        """Bytes; None for a stream that only its end will tell."""
        if self._path is not None:
            return self._path.stat().st_size
        if self._file is None or not self._file.seekable():
            return None
        here = self._file.tell()
        size = self._file.seek(0, os.SEEK_END) - self._start
        self._file.seek(here)
        return max(size, 0)

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """What follows the first `start` bytes, in pieces of up to 1 MiB."""
        with self._opened() as file:
            if self.can_start_again:
                file.seek(self._start + start)
            yield from pieces_of(file)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        if self._path is not None:
            with self._path.open("rb") as file:
                yield file
        elif self._file is not None:
            yield self._file
