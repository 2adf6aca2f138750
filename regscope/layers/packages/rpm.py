"""rpm's database of installed packages, where it is SQLite: since rpm 4.16 (rpm's docs, "RPM v4 Header format").

Databases in Berkeley DB or ndb format are not read.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing

LISTS = ("var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite")

AS_LINES = 100_000
"""What opening one may take, in lines of text."""

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_INT32, _STRING = 4, 6
_MOST_ENTRIES = 4096  # index entries of a header; rpm writes about a hundred
_MOST_HEADER = 32 * 2**20
_STEPS, _MOST_CALLS = 10_000, 1000  # instructions of SQLite's virtual machine: a hostile schema may never end
_HEADER = struct.Struct(">II")
_ENTRY = struct.Struct(">IIII")
# A plain table only: a view, a virtual table or a generated column would execute code from the file.
_STORED = """
    SELECT count(*) FROM sqlite_schema AS object, pragma_table_xinfo('Packages') AS field
    WHERE object.name = 'Packages' AND object.type = 'table' AND object.rootpage > 0
    AND field.name = 'blob' AND field.hidden = 0
"""
_KEY = "gpg-pubkey"  # a signing key, which rpm lists as a package


def packages(content: bytes) -> Iterator[tuple[str, str, str | None]]:
    """All packages in the database; the architecture is None where rpm has none."""
    if not content.startswith(b"SQLite format 3\0") or len(content) < 512:
        return
    # rpm leaves the database in WAL mode; such a database cannot be opened from memory (SQLite's file format, 1.3).
    plain = content[:18] + b"\1\1" + content[20:]
    try:
        yield from _read(plain)
    # Damaged: the rows before are valid. The error's own text may be invalid UTF-8, which raises UnicodeDecodeError.
    except (sqlite3.Error, UnicodeError, OverflowError, MemoryError):
        return


def _read(content: bytes) -> Iterator[tuple[str, str, str | None]]:
    calls = iter(range(_MOST_CALLS))
    with closing(sqlite3.connect(":memory:")) as database:
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_HEADER)
        database.set_progress_handler(lambda: next(calls, None) is None, _STEPS)
        database.deserialize(content)
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA cell_size_check = ON")
        if database.execute(_STORED).fetchone() != (1,):
            return
        unread = len(content)
        for (header,) in database.execute("SELECT blob FROM Packages"):
            if not isinstance(header, bytes) or (unread := unread - len(header)) < 0:  # repeated pages
                return
            if package := _package(header):
                yield package


def _package(header: bytes) -> tuple[str, str, str | None] | None:
    """Name, `epoch:version-release` and architecture from a header; None where one is missing."""
    if len(header) < _HEADER.size:
        return None
    n_entries, _ = _HEADER.unpack_from(header)
    store = _HEADER.size + n_entries * _ENTRY.size
    if n_entries > _MOST_ENTRIES or store > len(header):
        return None
    found: dict[int, str] = {}
    for tag, kind, offset, _ in _ENTRY.iter_unpack(header[_HEADER.size : store]):
        start = store + offset
        if tag in (_NAME, _VERSION, _RELEASE, _ARCH) and kind == _STRING:
            end = header.find(b"\0", start, start + 1000)
            found[tag] = header[start:end].decode("utf-8", "replace") if end > 0 else ""
        elif tag == _EPOCH and kind == _INT32:
            found[tag] = f"{int.from_bytes(header[start : start + 4])}:"
    name, version, release = (found.get(tag, "") for tag in (_NAME, _VERSION, _RELEASE))
    if not (name and version and release) or name == _KEY:
        return None
    return name, f"{found.get(_EPOCH, '')}{version}-{release}", found.get(_ARCH)
