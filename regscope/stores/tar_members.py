"""Access to the files in a tar, compressed or not, without unpacking it."""

from __future__ import annotations

import bz2
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from regscope import text
from regscope.errors import ContentMissing, InvalidInput, NotAStore, StoreError
from regscope.layers.compression import compression_of, uncompressed
from regscope.pieces import pieces_of
from regscope.registry.responses import too_large

_MOST_MEMBERS = 200_000
_MOST_UNPACKED = 2**38  # bytes of a compressed tar: 256 GiB
_LONGEST_HEADER = 2**24  # bytes that are read at once; names and extended headers are far smaller
_SMALL, _MOST_SMALL = 2**18, 2**25  # bytes of a file that is kept in memory, and of all kept files
_MOST_LINKS = 10
_BZIP2, _XZ = b"BZh", b"\xfd7zXZ\x00"
_BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError, RecursionError)


class Member(NamedTuple):
    """A file of a tar: the offset of its content in the uncompressed tar; or a link, with its target."""

    offset: int
    size: int
    target: str | None = None


class TarMembers:
    """The files of the tar at `path`, by their names without `./`. Links never lead to files outside of it.

    A compressed tar (gzip, bzip2, xz, zstd) can only be read from its beginning, so that reading a large file
    decompresses all before it; small files are kept from the first pass.

    Args:
        location: the location in error messages.
        first_counts: whether the first or the last of two files with one name is used.

    Raises:
        NotAStore: the file is no tar; raised on first use, and on the first use after it was replaced.
    """

    def __init__(self, path: Path, location: str, *, first_counts: bool) -> None:
        self.path = path
        self.location = location
        self._first_counts = first_counts
        self._known: _Index | None = None

    @property
    def stamp(self) -> tuple[int, int, int]:
        """A value that changes when the file is replaced or modified."""
        try:
            now = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise NotAStore(f"no such file: {self.path}") from None
        return now.st_ino, now.st_mtime_ns, now.st_size

    @property
    def names(self) -> Collection[str]:
        """The names of all files and links."""
        return self._index.members.keys()

    def __contains__(self, name: str) -> bool:
        return self._found(name) is not None

    def size(self, name: str) -> int:
        """The size of a file in bytes."""
        return self._member(name).size

    def chunks(self, name: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of a file, from byte `start`.

        Raises:
            ContentMissing: the tar has no such file.
            StoreError: the tar is truncated or damaged.
        """
        member = self._member(name)
        kept = self._index.small.get(member.offset)
        if kept is not None:
            yield from [kept[start:]] if start < len(kept) else []
            return
        left = member.size - start
        try:
            with self.path.open("rb") as file:
                pieces = _pieces_from(file, member.offset + start)
                while left > 0 and (piece := next(pieces, b"")):
                    yield piece[:left]
                    left -= len(piece)
        except (*_BROKEN, InvalidInput) as error:
            raise self._breaks_off(error) from None
        if left > 0:
            raise self._breaks_off("it ends within a file")

    def read(self, name: str, limit: int) -> bytes:
        """The whole file.

        Raises:
            TooLarge: the file has more than `limit` bytes.
        """
        size = self.size(name)
        if size > limit:
            raise too_large(text.plain(name, 200), size, limit)
        return b"".join(self.chunks(name))

    @property
    def _index(self) -> _Index:
        stamp = self.stamp
        if self._known is None or self._known.stamp != stamp:
            try:
                self._known = self._indexed(stamp)
            except (*_BROKEN, InvalidInput) as error:
                raise NotAStore(f"{self.path} cannot be read as a tar ({str(error).partition(':')[0]})") from None
        return self._known

    def _indexed(self, stamp: tuple[int, int, int]) -> _Index:
        found = _Index(stamp)
        with self.path.open("rb") as file:
            source = _source_of(file)
            with tarfile.open(fileobj=cast("IO[bytes]", source), mode="r:") as archive:
                while (info := archive.next()) is not None:
                    if archive.offset <= info.offset:  # a negative size would repeat headers
                        raise tarfile.ReadError("headers that lead back")
                    self._note(info, found)
                    if isinstance(source, _Forward) and found.has_room_for(info):
                        found.keep(info, archive.extractfile(info))
        return found

    def _note(self, info: tarfile.TarInfo, found: _Index) -> None:
        found.entries += 1
        if found.entries > _MOST_MEMBERS:
            raise tarfile.ReadError(f"more than {_MOST_MEMBERS:,} files")
        name = posixpath.normpath(info.name)
        if self._first_counts and name in found.members:
            return
        if info.issym():
            target = posixpath.join(posixpath.dirname(info.name), info.linkname)
            found.members[name] = Member(0, 0, posixpath.normpath(target))
        elif info.islnk():
            found.members[name] = Member(0, 0, posixpath.normpath(info.linkname))
        elif info.isfile() and not info.issparse():
            found.members[name] = Member(info.offset_data, info.size)

    def _found(self, name: str) -> Member | None:
        """The file of a name, through links; docker's old form stores a repeated layer as a link to its first copy."""
        for _ in range(_MOST_LINKS):
            member = self._index.members.get(posixpath.normpath(name))
            if member is None or member.target is None:
                return member
            name = member.target
        return None

    def _member(self, name: str) -> Member:
        if (member := self._found(name)) is not None:
            return member
        raise ContentMissing(
            f"{self.location} lacks the file {text.plain(name, 200)}",
            next_step="The archive is incomplete: save the image again.",
        )

    def _breaks_off(self, why: object) -> StoreError:
        return StoreError(
            f"{self.location} is truncated or damaged: {text.plain(why, 300)}",
            next_step="The archive is incomplete: save the image again.",
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": None}  # another process makes its own index


class _Index:
    """The result of one pass: the files by name, and the small files of a compressed tar by their offset."""

    def __init__(self, stamp: tuple[int, int, int]) -> None:
        self.stamp = stamp
        self.entries = 0
        self.members: dict[str, Member] = {}
        self.small: dict[int, bytes] = {}
        self._room = _MOST_SMALL

    def has_room_for(self, info: tarfile.TarInfo) -> bool:
        return info.isfile() and not info.issparse() and info.size <= min(_SMALL, self._room)

    def keep(self, info: tarfile.TarInfo, file: IO[bytes] | None) -> None:
        content = file.read() if file is not None else b""
        self.small[info.offset_data] = content
        self._room -= len(content)


class _Forward:
    """A file object over pieces that can only be read forwards, with what `tarfile` needs."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, position: int, whence: int = 0) -> int:
        if whence or position < self._at:
            raise tarfile.ReadError("headers that lead back")
        for piece in self._up_to(position - self._at):
            del piece
        return self._at

    def read(self, size: int) -> bytes:
        _check_length(size)
        return b"".join(self._up_to(size))

    def _up_to(self, amount: int) -> Iterator[bytes]:
        while amount > 0:
            self._rest = self._rest or next(self._pieces, b"")
            if not self._rest:
                return
            part, self._rest = self._rest[:amount], self._rest[amount:]
            self._at += len(part)
            amount -= len(part)
            if self._at > _MOST_UNPACKED:
                raise tarfile.ReadError(f"more than {_MOST_UNPACKED:,} bytes unpacked")
            yield part


class _Plain:
    """A file for `tarfile` that limits the bytes of one read, as a damaged header may ask for too many."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int) -> bytes:
        _check_length(size)
        return self._file.read(size)


def _check_length(size: int) -> None:
    if not 0 <= size <= _LONGEST_HEADER:
        raise tarfile.ReadError(f"a header of {size:,} bytes")


def _source_of(file: IO[bytes]) -> _Forward | _Plain:
    pieces = _unpacked(file)
    return _Plain(file) if pieces is None else _Forward(pieces)


def _pieces_from(file: IO[bytes], offset: int) -> Iterator[bytes]:
    """The uncompressed tar after its first `offset` bytes."""
    pieces = _unpacked(file)
    if pieces is None:
        file.seek(offset)
        yield from pieces_of(file)
        return
    for piece in pieces:
        if rest := piece[offset:]:
            yield rest
        offset = max(offset - len(piece), 0)


def _unpacked(file: IO[bytes]) -> Iterator[bytes] | None:
    """The uncompressed tar of a compressed file; None for an uncompressed file."""
    head = file.read(len(_XZ))
    file.seek(0)
    if head.startswith(_BZIP2):
        return pieces_of(bz2.BZ2File(file))
    if head.startswith(_XZ):
        return pieces_of(lzma.LZMAFile(file))
    return None if compression_of(head[:4]) == "none" else uncompressed(pieces_of(file))
