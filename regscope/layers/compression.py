"""Compressing and decompressing layers (gzip, zstd)."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor, IsalError

from regscope.errors import InvalidInput, TooLarge
from regscope.layers.budget import Budget
from regscope.settings import MOST_ZSTD_WINDOW, zstd_window
from regscope.spec.digest import Digest, Passing

Compression = Literal["gzip", "zstd"]
Stored = Literal["gzip", "zstd", "none"]
"""How a layer is stored."""

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # the end of a skippable frame's magic (RFC 8878, 3.1.2)
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
LEVELS = {"gzip": (0, 9), "zstd": (1, 22)}
_PIECE = 2**21  # bytes of the tar that are decompressed at once: gzip expands what is read, so twice a piece of it
_SIP = 1024  # bytes of zstd that are decoded at once; they can expand to 32 MB
_AFTER_MEMBER = 2**16  # bytes of gzip that are decoded at once after a member, see below
_FRAME_HEADER = 18  # bytes of the longest frame header (RFC 8878, 3.1.1.1)


def uncompressed(chunks: Iterable[bytes], budget: Budget | None = None) -> Iterator[bytes]:
    """The uncompressed tar of a layer: all of its gzip members or zstd frames; an uncompressed layer unchanged.

    No piece is empty, since a reader may take an empty one for the end.

    Args:
        budget: of the layer; nearly empty members and frames count as headers.

    Raises:
        InvalidInput: the layer is damaged, or ends too early.
        TooLarge: the layer exceeds the budget, or its zstd window exceeds `REGSCOPE_ZSTD_WINDOW`.
    """
    budget = Budget() if budget is None else budget
    remaining = filter(None, chunks)
    first = next(remaining, b"")
    while len(first) < 4 and (more := next(remaining, b"")):
        first += more
    everything = chain([first], remaining)
    if compression_of(first) == "zstd":
        pieces = _from_zstd(everything, budget)
    elif compression_of(first) == "gzip":
        pieces = _from_gzip(everything, budget)
    else:
        pieces = everything
    yield from filter(None, pieces)


def _from_gzip(chunks: Iterator[bytes], budget: Budget) -> Iterator[bytes]:
    """All members. Bytes after the last one that are no gzip are ignored, as gzip itself does."""
    unpacking, begun, members, size = IgzipDecompressor(flag=DECOMP_GZIP), False, 0, 0
    try:
        # zlib copies what follows a member: many short members in a long piece would take quadratic time.
        for packed in chain.from_iterable(_sips(chunk, _AFTER_MEMBER if members else len(chunk)) for chunk in chunks):
            while packed or (begun and not unpacking.needs_input):
                if members and not begun:
                    packed = packed.lstrip(b"\0")
                    if packed[:1] != GZIP[:1]:
                        break
                begun = True
                piece = unpacking.decompress(packed, _PIECE)
                yield piece
                packed, size = b"", size + len(piece)
                if unpacking.eof:
                    _count(size, budget)
                    packed = unpacking.unused_data
                    unpacking, begun, members, size = IgzipDecompressor(flag=DECOMP_GZIP), False, members + 1, 0
    except IsalError as error:  # type: ignore[misc]  # its stub does not say that it is an exception
        raise _damaged(error) from None
    if begun or not members:
        raise _cut_short()


def _from_zstd(chunks: Iterator[bytes], budget: Budget) -> Iterator[bytes]:
    """All frames, one after another."""
    import zstandard  # slower, and needed by few layers

    most, window, size = zstd_window(), 0, 0
    unpacker = zstandard.ZstdDecompressor(max_window_size=MOST_ZSTD_WINDOW)
    frame, held = None, b""
    try:
        sips = chain.from_iterable(_sips(chunk, _SIP) for chunk in chunks)
        for sip in chain(sips, [None]):
            packed, held = held + (sip or b""), b""
            while packed:
                if frame is None or frame.eof:
                    if len(packed) < _FRAME_HEADER and sip is not None:
                        held = packed
                        break
                    window, size = zstandard.get_frame_parameters(packed).window_size, 0
                    frame = unpacker.decompressobj()
                piece = frame.decompress(packed)
                size += len(piece)
                if min(window, size) > most:
                    raise _too_wide(window)
                for start in range(0, len(piece), _PIECE):
                    yield piece[start : start + _PIECE]
                if frame.eof:
                    _count(size, budget)
                packed = frame.unused_data
    except zstandard.ZstdError as error:
        raise _damaged(error) from None
    if frame is None or not frame.eof:
        raise _cut_short()


def _sips(chunk: bytes, size: int) -> Iterator[bytes]:
    return (chunk[start : start + size] for start in range(0, len(chunk), size))


def _count(size: int, budget: Budget) -> None:
    if size < tarfile.BLOCKSIZE:
        budget.take("headers", 1)


def _too_wide(window: int) -> TooLarge:
    return TooLarge(
        f"a zstd layer whose window takes {window:,} bytes of memory to unpack",
        next_step=f"If you trust the layer, set REGSCOPE_ZSTD_WINDOW to {window:,} (at most {MOST_ZSTD_WINDOW:,}).",
    )


def _damaged(why: object) -> InvalidInput:
    return InvalidInput(f"a layer whose compression is damaged: {why}")


def _cut_short() -> InvalidInput:
    return InvalidInput("a layer whose compression ends too early")


def compression_of(head: bytes) -> Stored:
    """The compression of a layer, by its first four bytes."""
    if head.startswith(GZIP):
        return "gzip"
    may_be_skipped = head[:1] and head[0] & 0xF0 == 0x50 and head[1:4] == _SKIPPABLE
    return "zstd" if head.startswith(ZSTD) or may_be_skipped else "none"


def diff_id_of(chunks: Iterable[bytes]) -> Digest:
    """The digest of a layer's uncompressed tar (OCI image-spec, config.md, Layer DiffID)."""
    passing = Passing()
    for piece in uncompressed(chunks):
        passing.take(piece)
    return passing.digest


def check_tar(chunks: Iterable[bytes], name: str) -> None:
    """Check the beginning of a layer, compressed or not.

    Raises:
        InvalidInput: it is no tar's.
    """
    first = b""
    for piece in uncompressed(chunks):
        first += piece[: tarfile.BLOCKSIZE]
        if len(first) >= tarfile.BLOCKSIZE:
            break
    if first[: tarfile.BLOCKSIZE] == bytes(tarfile.BLOCKSIZE):  # a tar without entries
        return
    try:
        tarfile.TarInfo.frombuf(first[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise InvalidInput(f"{name} is no tar, compressed or not", next_step="Make one with `tar -c`.") from None


def compressed(chunks: Iterable[bytes], compression: Stored = "gzip", level: int | None = None) -> Iterator[bytes]:
    """A tar, compressed; equal tars give equal bytes.

    Args:
        level: of the compression, 0 to 9 for gzip, 1 to 22 for zstd; 6 and 3 by default.

    Raises:
        InvalidInput: there is no such level.
    """
    if compression == "none":
        return iter(chunks)
    least, most = LEVELS[compression]
    if level is not None and not least <= level <= most:
        raise InvalidInput(f"{compression} has no level {level}", next_step=f"Give one from {least} to {most}.")
    if compression == "gzip":
        return _to_gzip(chunks, _GZIP_LEVEL if level is None else level)
    return _to_zstd(chunks, _ZSTD_LEVEL if level is None else level)


def _to_gzip(chunks: Iterable[bytes], level: int) -> Iterator[bytes]:
    packed = _Written()
    with gzip.GzipFile("", "wb", level, packed, mtime=0) as packing:
        for chunk in chunks:
            packing.write(chunk)
            yield packed.taken()
    yield packed.taken()


def _to_zstd(chunks: Iterable[bytes], level: int) -> Iterator[bytes]:
    import zstandard

    packing = zstandard.ZstdCompressor(level).compressobj()
    for chunk in chunks:
        yield packing.compress(chunk)
    yield packing.flush()


class _Written:
    """A file object that keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
