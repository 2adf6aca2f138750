"""Layers, compressed and not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

from regscope.errors import InvalidInput
from regscope.spec.digest import Digest, Passing

Compression = Literal["gzip", "zstd"]

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_PIECE = 2**20
_SIP = 4096  # bytes of zstd at once: they may stand for 128 MB


def uncompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a layer unpacks to: gzip members or zstd frames one after another; a plain tar as it is.

    Raises:
        InvalidInput: it is damaged, or ends too early.
    """
    remaining = iter(chunks)
    first = next(remaining, b"")
    while len(first) < 4 and (more := next(remaining, b"")):
        first += more
    everything = chain([first], remaining)
    if first.startswith(ZSTD):
        yield from _from_zstd(everything)
    elif first.startswith(GZIP):
        yield from _from_gzip(everything)
    else:
        yield from everything


def _from_gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            packed = chunk
            while packed:
                if unpacking.eof:
                    unpacking = zlib.decompressobj(wbits=31)
                yield unpacking.decompress(packed, _PIECE)
                packed = unpacking.unconsumed_tail or unpacking.unused_data
        yield unpacking.flush()
    except zlib.error as error:
        raise InvalidInput(f"a layer whose compression is damaged: {error}") from None
    if not unpacking.eof:
        raise InvalidInput("a layer whose compression ends too early")


def _from_zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard  # the few who have such layers wait for it

    unpacking = zstandard.ZstdDecompressor().decompressobj()
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), _SIP):
                packed = chunk[start : start + _SIP]
                while packed:
                    if unpacking.eof:
                        unpacking = zstandard.ZstdDecompressor().decompressobj()
                    yield unpacking.decompress(packed)
                    packed = unpacking.unused_data
    except zstandard.ZstdError as error:
        raise InvalidInput(f"a layer whose compression is damaged: {error}") from None
    if not unpacking.eof:
        raise InvalidInput("a layer whose compression ends too early")


def diff_id_of(chunks: Iterable[bytes]) -> Digest:
    """The digest of a layer's uncompressed tar (OCI image-spec, config.md, Layer DiffID)."""
    passing = Passing()
    for piece in uncompressed(chunks):
        passing.take(piece)
    return passing.digest


def compressed(chunks: Iterable[bytes], compression: Compression = "gzip") -> Iterator[bytes]:
    """A tar compressed: the same bytes for the same tar."""
    return _to_gzip(chunks) if compression == "gzip" else _to_zstd(chunks)


def _to_gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packed = _Written()
    with gzip.GzipFile("", "wb", _GZIP_LEVEL, packed, mtime=0) as packing:
        for chunk in chunks:
            packing.write(chunk)
            yield packed.taken()
    yield packed.taken()


def _to_zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    packing = zstandard.ZstdCompressor(_ZSTD_LEVEL).compressobj()
    for chunk in chunks:
        yield packing.compress(chunk)
    yield packing.flush()


class _Written:
    """What was written since it was taken last."""

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
