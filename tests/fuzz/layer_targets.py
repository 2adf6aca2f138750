"""What layers are made of: compression, tars and their extended headers, and the files that are looked into."""

from __future__ import annotations

import gzip
import json
import sqlite3
import struct
from collections.abc import Iterable
from contextlib import closing
from functools import partial

import zstandard

from regscope.layers.compression import check_tar, uncompressed
from regscope.layers.magic import magic_of
from regscope.layers.packages import packages_in
from regscope.layers.secrets import may_hold_secret, secret_in
from tests.fuzz.json_mutation import json_changed
from tests.fuzz.mutation import changed
from tests.fuzz.tar_mutation import records_changed, tar_changed
from tests.fuzz.target import Target, these
from tests.lab.tars import END, entry, header, in_pieces, padded, pax, record, rows_of

_DPKG = b"Package: a\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\nDescription: a\n b\n\n"
_APK = b"C:Q1a=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld.so\na:0:0:755\n\n"
_PYTHON = b"Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\nClassifier: a\n\nName: other\n"
_NPM = json.dumps({"name": "@a/b", "version": "1.0.0", "dependencies": {"c": "^1"}}).encode()
_SECRETS = (
    b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n" + b"MIIEabcdefgh12345678IJKLMNOPqrstuvwxyz" * 3,
    b'export AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMIK7MDENGbPxRfiCYzzzzzzKEYabc"\nTOKEN=ghp_' + b"a1B2" * 9 + b"\n",
    b"//registry.npmjs.org/:_authToken=npm_" + b"x7Y8" * 9 + b"\n[pypi]\npassword = pypi-AgE" + b"q1W2" * 20,
    b"machine a login b password s3cr3tvalue\nhttps://user:s3cr3t@example.com/\n",
    json.dumps({"auths": {"a": {"auth": "dXNlcjpwYXNzd29yZA=="}}}).encode(),
    b"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\n" + b"AAAAB3NzaC1yc2EAAAADAQABAAABAQ" * 4,
)
_MOST_UNPACKED = 2**24  # bytes
_SECRET_PATHS = (
    "app/.env", "root/.npmrc", "root/.ssh/id_rsa", "root/.netrc", "root/.docker/config.json", "a/b.tfvars", ".pypirc",
    "a/key.pem", "srv/notes.txt", "a/store.p12",
)  # fmt: skip


def _tars() -> list[bytes]:
    """Tars of every kind of entry, and of what is said about entries."""
    linked = entry("a", b"hello") + header("b", flag=b"1", link=b"a") + header("c", flag=b"2", link=b"../a") + END
    kinds = b"".join(header(f"k{flag}", flag=b"%d" % flag) for flag in (3, 4, 5, 6, 7)) + header("V", flag=b"V") + END
    long = header("././@LongLink", 151, b"L") + padded(b"n" * 150 + b"\0") + entry("short", b"x" * 700) + END
    linked_far = header("././@LongLink", 3, b"K") + padded(b"k/\0") + header("s", flag=b"2") + END
    said = pax(("path", b"etc/x"), ("mtime", b"1.5"), ("uid", b"3"), ("size", b"2"), ("SCHILY.xattr.user.a", b"\0v"))
    everywhere = pax(("gid", b"7"), ("SCHILY.xattr.user.b", b"w"), flag=b"g")
    marks = b"".join(entry(name) for name in ("d/.wh.a", "d/.wh..wh..opq", ".wh.d", ".wh..wh.plnk")) + END
    lists = entry("var/lib/dpkg/status", _DPKG) + entry("lib/apk/db/installed", _APK) + entry("app/.env", _SECRETS[1])
    lists += entry("usr/lib/sysimage/rpm/rpmdb.sqlite", _rpmdb(_rpm_header(name="a", version="1", release="2"))) + END
    numbers = header("a", b"\x80" + (700).to_bytes(11, "big"), uid=b"\x80\0\0\0\0\0\1\0", mtime=b"\xff" * 12)
    return [
        linked, kinds, long, linked_far, marks, lists, END,
        everywhere + said + entry("z", b"ab") + entry("y", b"c") + END,
        numbers + padded(bytes(700)) + END,
        header("d/", flag=b"\0") + entry("p", b"q", prefix=b"one/two") + entry("g", b"h", magic=b"ustar  \0") + END,
    ]  # fmt: skip


def _sparse_tars() -> list[bytes]:
    """Sparse files in GNU tar's four formats (GNU tar manual, Sparse Formats)."""
    parts = b"%011o\0%011o\0" % (512, 3)
    old = header("s", 3, b"S", magic=b"ustar  \0", sparse=parts, real=b"%011o\0" % 2000) + padded(b"abc")
    many = header("m", 6, b"S", magic=b"ustar  \0", sparse=parts, extended=b"\1", real=b"%011o\0" % 9000)
    many += (b"%011o\0%011o\0" % (4096, 3)).ljust(512, b"\0") + padded(b"abcdef")
    first = pax(
        ("GNU.sparse.size", b"100"), ("GNU.sparse.numblocks", b"2"), ("GNU.sparse.offset", b"0"),
        ("GNU.sparse.numbytes", b"1"), ("GNU.sparse.offset", b"50"), ("GNU.sparse.numbytes", b"2"),
    ) + entry("f", b"xyz")  # fmt: skip
    second = pax(
        ("GNU.sparse.size", b"9"), ("GNU.sparse.name", b"q"), ("GNU.sparse.map", b"0,1,4,2"),
    ) + entry("GNUSparseFile.1/q", b"xyz")  # fmt: skip
    third = pax(
        ("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.name", b"r"),
        ("GNU.sparse.realsize", b"1000"),
    ) + entry("GNUSparseFile.1/r", padded(b"2\n0\n1\n999\n1\n") + b"xy")  # fmt: skip
    return [each + END for each in (old, many, first, second, third, old + many + first + second + third)]


def _records() -> list[bytes]:
    return [
        record("path", b"a/b") + record("size", b"3") + record("mtime", b"1700000000.123456789"),
        record("uid", b"1000") + record("gid", b"1000") + record("SCHILY.xattr.security.capability", b"\1\0\0\2" * 5),
        record("GNU.sparse.major", b"1") + record("GNU.sparse.minor", b"0") + record("GNU.sparse.realsize", b"700"),
        record("GNU.sparse.size", b"9") + record("GNU.sparse.map", b"0,1,4,2"),
        record("linkpath", b"x") + record("comment", b"text"),
    ]


def _extended(records: bytes) -> None:
    """The records for one entry, and for all that follow."""
    content = padded(b"2\n0\n1\n5\n1\n") + b"xy"
    for flag in (b"x", b"g"):
        about = header("PaxHeaders/a", len(records), flag) + padded(records)
        rows_of(about + entry("a", content) + header("l", flag=b"2", link=b"a") + entry("b", b"c") + END)


def _gzips() -> list[bytes]:
    tar = entry("a", b"hello" * 300) + END
    named = b"\x1f\x8b\x08\x1e\0\0\0\0\0\3" + b"\2\0ab" + b"name\0" + b"comment\0" + gzip.compress(tar, mtime=0)[10:]
    one, empty = gzip.compress(tar, mtime=0), gzip.compress(b"", mtime=0)
    return [
        one, gzip.compress(tar, 0, mtime=0), named, one + one, empty * 5 + one, one + bytes(100), one + b"no gzip",
        one + bytes(3) + one,
    ]  # fmt: skip


def _zstds() -> list[bytes]:
    tar = entry("a", b"hello" * 300) + END
    one = zstandard.ZstdCompressor(write_checksum=True).compress(tar)
    streamed = zstandard.ZstdCompressor().compressobj()
    skipped = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    return [
        one, streamed.compress(tar) + streamed.flush(), zstandard.ZstdCompressor(19).compress(tar), one + one,
        skipped + one, one + skipped, zstandard.ZstdCompressor().compress(b"") * 3 + one,
    ]  # fmt: skip


def _beginning(pieces: Iterable[bytes]) -> bytes:
    """What it takes to see that unpacking goes on: a few bytes may stand for gigabytes."""
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > _MOST_UNPACKED:
            break
    return bytes(found)


def _unpacked(data: bytes) -> None:
    """As it comes over a network: at once, and in pieces."""
    for piece in (len(data) or 1, 1 + len(data) % 97):
        _beginning(uncompressed(in_pieces(data, piece)))


def _layer(data: bytes) -> None:
    """A layer as it is stored, to rows."""
    check_tar([data], "the layer")
    rows_of(_beginning(uncompressed([data])))


def _rpm_header(**texts: str) -> bytes:
    """A header as rpm's database has it (rpm, RPM v4 Header format)."""
    tags = {"name": 1000, "version": 1001, "release": 1002, "arch": 1022}
    entries, store = b"", b""
    for field, value in texts.items():
        entries += struct.pack(">IIII", tags[field], 6, len(store), 1)
        store += value.encode() + b"\0"
    return struct.pack(">II", len(texts), len(store)) + entries + store


def _rpmdb(*headers: bytes, schema: str = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)") -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA page_size = 512")
        database.execute(schema)
        database.executemany("INSERT INTO Packages (blob) VALUES (?)", [(each,) for each in headers])
        database.commit()
        return database.serialize()


def _rpmdbs() -> list[bytes]:
    one = _rpm_header(name="bash", version="5.1", release="2.el9", arch="x86_64")
    large = _rpm_header(name="n" * 900, version="1", release="r" * 900)
    with_index = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB, other TEXT UNIQUE)"
    return [_rpmdb(one), _rpmdb(*[one] * 20), _rpmdb(large, one, b"", b"\0" * 8), _rpmdb(one, schema=with_index)]


def _contents(data: bytes) -> None:
    magic_of(data[:512])
    for path in _SECRET_PATHS:
        if may_hold_secret(path, len(data)):
            secret_in(path, data)


def _mixed() -> list[bytes]:
    return [*_gzips(), *_zstds(), *_tars(), *(gzip.compress(tar, 1, mtime=0) for tar in _tars())]


TARGETS = (
    Target("tar", rows_of, _tars, tar_changed, 30),
    Target("sparse", rows_of, _sparse_tars, tar_changed, 30),
    Target("pax", _extended, _records, records_changed, 20),
    Target("gzip", _unpacked, _gzips, changed, 150),
    Target("zstd", _unpacked, _zstds, changed, 120),
    Target("layers", _layer, _mixed, changed, 40),
    Target("dpkg", partial(packages_in, "dpkg", "var/lib/dpkg/status"), these(_DPKG, _DPKG * 3), changed, 120),
    Target("apk", partial(packages_in, "apk", "lib/apk/db/installed"), these(_APK, _APK * 3), changed, 120),
    Target("rpm", partial(packages_in, "rpm", "usr/lib/sysimage/rpm/rpmdb.sqlite"), _rpmdbs, changed, 60),
    Target("python", partial(packages_in, "python", "a.dist-info/METADATA"), these(_PYTHON), changed, 120),
    Target("npm", partial(packages_in, "npm", "node_modules/a/package.json"), these(_NPM), json_changed, 80),
    Target("contents", _contents, these(*_SECRETS), changed, 40),
)
