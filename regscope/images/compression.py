"""Layers, compressed and not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from regscope.errors import InvalidInput, UnSupportMediaType
from regscope.spec.digest import Digest, Passing

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_LEVEL = 6


def uncompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a gzip-compressed layer unpacks to, members one after another; a plain tar as it is.

    Raises:
        InvalidInput: it is damaged, or ends too early.
        UnSupportMediaType: it is compressed in another way.
    """
    remaining = iter(chunks)
    first = next(remaining, b"")
    if first.startswith(_ZSTD):
        raise UnSupportMediaType("a layer compressed with zstd cannot be unpacked here")
    if not first.startswith(_GZIP):
        yield first
        yield from remaining
        return
    unpacking = zlib.decompressobj(wbits=31)
    try:
        for chunk in chain([first], remaining):
            packed = chunk
            while packed:
                if unpacking.eof:
                    unpacking = zlib.decompressobj(wbits=31)
                yield unpacking.decompress(packed)
                packed = unpacking.unused_data
    except zlib.error as error:
        raise InvalidInput(f"a layer whose compression is damaged: {error}") from None
    if not unpacking.eof:
        raise InvalidInput("a layer whose compression ends too early")


def diff_id_of(chunks: Iterable[bytes]) -> Digest:
    """The digest of a layer's uncompressed tar (OCI image-spec, config.md, Layer DiffID)."""
    passing = Passing()
    for piece in uncompressed(chunks):
        passing.take(piece)
    return passing.digest


def write_gzipped(chunks: Iterable[bytes], file: Path) -> tuple[Digest, int]:
    """Write a tar compressed, the same bytes for the same tar; its digest and its size in bytes."""
    with file.open("wb") as raw, gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed:
        for chunk in chunks:
            packed.write(chunk)
    passing = Passing()
    with file.open("rb") as written:
        while piece := written.read(2**20):
            passing.take(piece)
    return passing.digest, passing.size
