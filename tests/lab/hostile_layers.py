"""Layers made to take long or to fill the memory: each is stored in less than a megabyte."""

from __future__ import annotations

import gzip
import sqlite3
import struct
from collections.abc import Callable, Iterable

import zstandard

from tests.lab.tars import END, entry, header, padded, pax

_SKIPPED = b"\x50\x2a\x4d\x18\0\0\0\0"
_MIB = 2**20


def packed(parts: Iterable[bytes]) -> bytes:
    """A tar of these parts in one frame of zstd, which says again in fewest bytes what was said before."""
    packing = zstandard.ZstdCompressor(1).compressobj()
    written = [packing.compress(part) for part in parts]
    return b"".join([*written, packing.compress(END), packing.flush()])


def zstd_zeros(size: int, before: bytes = b"", window: int = 0x38) -> bytes:
    """A frame of `before`, and of zeros in as little as the format can say them in (RFC 8878, 3.1.1.2)."""
    blocks = [_raw(before)] if before else []
    block = (2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = (2**17 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\0" + bytes([window]) + b"".join(blocks) + block * (size // 2**17 - 1) + last


def _raw(content: bytes) -> bytes:
    return (len(content) << 3).to_bytes(3, "little") + content


def members(content: bytes, most: int = 1_000_000) -> bytes:
    """As many gzip members of `content` as fit."""
    member = gzip.compress(content, 9, mtime=0)
    return member * (most // len(member))


def numbered(count: int, name: str = "f%d", **fields: bytes) -> Iterable[bytes]:
    return (header(name % number, **fields) for number in range(count))


def sparse_1(count: int) -> bytes:
    """A sparse file whose map has so many parts, of a byte each."""
    text = b"%d\n" % count + b"".join(b"%d\n1\n" % (2 * number) for number in range(count))
    content = padded(text) + b"x" * count
    size = b"%d" % (2 * count)
    records = (("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", size))
    return pax(*records) + header("sparse", len(content)) + padded(content)


def old_sparse(blocks: int) -> bytes:
    """An old GNU sparse file with so many blocks of empty parts."""
    part = b"00000000000\0" * 42
    start = header("s", 0, b"S", magic=b"ustar  \0", extended=b"\1")
    return start + (part + b"\1" + bytes(7)) * (blocks - 1) + part + bytes(8)


def rpm_database() -> bytes:
    """One that makes SQLite look for long: a wide schema, and many rows of no package."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    nothing = struct.pack(">II", 0, 0)
    database.executemany("INSERT INTO Packages (blob) VALUES (?)", ((nothing,) for _ in range(20_000)))
    database.commit()
    return bytes(database.serialize())


HOLES = (("GNU.sparse.size", b"%d" % (2**32 - 1)), ("GNU.sparse.numblocks", b"1"), ("GNU.sparse.map", b"0,0"))
ATTRIBUTE = ("SCHILY.xattr.user.x", bytes(_MIB - 100))

HOSTILE: dict[str, Callable[[], bytes]] = {
    "attributes that apply to every entry": lambda: packed([pax(ATTRIBUTE, flag=b"g"), *numbered(300)]),
    "a large attribute each": lambda: packed((pax(ATTRIBUTE) + header("a")) for _ in range(300)),
    "a long path each": lambda: packed((pax(("path", b"a" * (_MIB - 100))) + header("a")) for _ in range(300)),
    "a deep path each": lambda: packed((pax(("path", b"a/" * (_MIB // 2 - 50))) + header("a")) for _ in range(300)),
    "a long link each": lambda: packed(
        (header("l", _MIB, b"K") + b"k" * _MIB + header("a", flag=b"2")) for _ in range(300)
    ),
    "a long name that no entry uses": lambda: packed(header("l", _MIB, b"L") + b"k" * _MIB for _ in range(300)),
    "extended headers without end": lambda: packed(header("x", flag=b"x") * 2048 for _ in range(300)),
    "records without end": lambda: packed(
        (pax(*[(f"{key:x}", b"") for key in range(100_000)]) + header("a")) for _ in range(20)
    ),
    "the shortest records": lambda: packed(
        header("x", 1_048_570, b"x") + b"5 a=\n" * 209_714 + bytes(6) for _ in range(20)
    ),
    "entries without end": lambda: packed(header("f") * 2048 for _ in range(300)),
    "entries that all differ": lambda: packed(numbered(100_000, "f%d")),
    "entries of long names": lambda: packed(header("n" * 100, prefix=b"p" * 155) * 2048 for _ in range(300)),
    "volume labels without end": lambda: packed(header("v", flag=b"V") * 2048 for _ in range(300)),
    "three sparse files of four gigabytes": lambda: packed((pax(*HOLES) + header("h")) for _ in range(3)),
    "sparse files of four gigabytes": lambda: packed((pax(*HOLES) + header("h")) for _ in range(20_000)),
    "small sparse files that are looked into": lambda: packed(
        (pax(("GNU.sparse.size", b"250000"), *HOLES[1:]) + header("app/.env")) for _ in range(20_000)
    ),
    "a sparse map that does not end": lambda: packed(
        [pax(("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")), header("s", 100 * _MIB), b"1000000\n"]
        + [b"0" * _MIB] * 100
    ),
    "sparse maps of many parts": lambda: packed(sparse_1(60_000) for _ in range(20)),
    "old sparse maps of many parts": lambda: packed(old_sparse(2000) for _ in range(100)),
    "gzip members of nothing": lambda: members(b""),
    "gzip members of a block": lambda: members(header("a")),
    "a file of zeros": lambda: packed([header("z", 300 * _MIB), *[bytes(_MIB)] * 300]),
    "zstd frames of nothing": lambda: zstandard.compress(b"") * (1_000_000 // 9),
    "zstd frames that are skipped": lambda: _SKIPPED * 120_000 + zstandard.compress(END),
    "zstd of zeros": lambda: zstd_zeros(2**34, header("z", b"\x80" + (2**34).to_bytes(11, "big"))),
    "zstd of zeros, with a window of 2 GiB": lambda: zstd_zeros(
        2**31, header("z", b"\x80" + (2**31).to_bytes(11, "big")), window=0xA8
    ),
    "a dpkg list of short stanzas": lambda: packed([entry("var/lib/dpkg/status", b"a\n\n" * (10 * _MIB))]),
    "dpkg lists": lambda: packed(
        entry("var/lib/dpkg/status", b"Package: a\nVersion: 1\n\n" * 40_000) for _ in range(200)
    ),
    "an apk list of one line": lambda: packed([entry("lib/apk/db/installed", b"P" * (30 * _MIB))]),
    "rpm databases": lambda: packed([entry("var/lib/rpm/rpmdb.sqlite", rpm_database())] * 100),
    "npm descriptions": lambda: packed([entry("node_modules/a/package.json", b"[" + b"[]," * 340_000 + b"[]]")] * 200),
    "environment files of short lines": lambda: packed([entry("app/.env", b"A=b\n" * 65_000)] * 400),
    "tokens that are placeholders": lambda: packed([entry("app/.npmrc", b"_authToken=x\n" * 20_000)] * 400),
    "keys that begin, and do not go on": lambda: packed(
        [entry("app/id_rsa", b"-----BEGIN PRIVATE KEY-----\n" * 9_000)] * 2000
    ),
    "a token that could go on": lambda: packed([entry("app/.env", b"glpat-" * 43_000)] * 400),
}
