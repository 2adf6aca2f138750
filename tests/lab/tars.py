"""Tars written a block at a time: also those that no honest program writes."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from regscope.layers.budget import Budget
from regscope.layers.entry_rows import SCHEMA, entry_rows
from regscope.layers.tar_entries import TarReader
from regscope.layers.tar_source import TarSource

END = bytes(1024)


def header(
    name: str | bytes = "a",
    size: int | bytes = 0,
    flag: bytes = b"0",
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    checksum: bytes | Callable[[bytes], bytes] | None = None,
    **fields: bytes,
) -> bytes:
    """One header block; `size` as bytes stands there as it is, and so do `mode`, `uid`, `gid`, `mtime`, `prefix` …"""
    block = bytearray(512)
    raw = name.encode() if isinstance(name, str) else name
    block[: len(raw)] = raw
    written: Mapping[int, bytes] = {
        100: fields.get("mode", b"0000644\0"),
        108: fields.get("uid", b"0000000\0"),
        116: fields.get("gid", b"0000000\0"),
        124: size if isinstance(size, bytes) else b"%011o\0" % size,
        136: fields.get("mtime", b"00000000000\0"),
        156: flag,
        157: link,
        257: magic,
        345: fields.get("prefix", b""),
        386: fields.get("sparse", b""),
        482: fields.get("extended", b""),
        483: fields.get("real", b""),
        329: fields.get("major", b""),
        337: fields.get("minor", b""),
        508: fields.get("trailer", b""),
    }
    for at, value in written.items():
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    if checksum is None:
        checksum = b"%06o\0 " % sum(block)
    block[148:156] = checksum if isinstance(checksum, bytes) else checksum(bytes(block))
    return bytes(block)


def padded(content: bytes) -> bytes:
    """Content as it stands after its header."""
    return content + bytes(-len(content) % 512)


def entry(name: str | bytes, content: bytes = b"", **fields: bytes) -> bytes:
    """A regular file."""
    return header(name, len(content), **fields) + padded(content)


def pax(*records: tuple[str, bytes], flag: bytes = b"x") -> bytes:
    """An extended header."""
    content = b"".join(record(key, value) for key, value in records)
    return header("PaxHeaders/x", len(content), flag) + padded(content)


def record(key: str, value: bytes) -> bytes:
    """One record of an extended header, with its own length before it."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def in_pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    """Content in small pieces, as a slow network brings it."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


def rows_of(tar: bytes, piece: int = 1000, budget: Budget | None = None) -> pa.Table:
    """What the reader makes of a tar."""
    tables, rows = [SCHEMA.empty_table()], 0
    for batch in TarReader(TarSource(in_pieces(tar, piece)), budget).batches():
        tables.append(entry_rows(batch, rows))
        rows += len(batch)
    return pa.concat_tables(tables)


def paths_of(tar: bytes) -> list[str]:
    """The paths in a tar, in their order."""
    return list(rows_of(tar)["path"].to_pylist())


def gzipped(tar: bytes) -> bytes:
    """A tar as layers are stored."""
    return gzip.compress(tar, 6, mtime=0)


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    """An entry for `tarfile` to write."""
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made
