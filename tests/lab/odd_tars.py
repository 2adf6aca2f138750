"""Tars that are drawn: headers of every format with odd fields, in any order, and some of them damaged."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.lab.tars import END, header, padded, pax

NUMBERS = [
    b"0000017\0", b"   17 \0\0", b"\0\00017\0", b"\0 17  \0", b"17\0 zz", b"1 7", b"", b"9", b"\x80\0\0\0\0\0\0\x07",
    b"\xff" * 8, b"17\0\0 \0", b"-7", b"+7", b"0x7", b"1_7", b"\t17", b"\x80\x7f",
]  # fmt: skip
SIZES = [
    *[b"%011o\0" % size for size in (0, 1, 5, 511, 512, 513, 1024)], b"\0\0\0005", b"  5 ", b"5\0\0\0 ", b"5 5", b"",
    b"\x80" + (3).to_bytes(11, "big"), b"\x80" + bytes([1]) + bytes(10), b"\xff" * 12, b"\xff" * 11 + b"\0", b"8",
    b"\x80\0\0\0" + (2**63 - 1).to_bytes(8, "big"), b"\x80\0\0\0" + (2**63).to_bytes(8, "big"),
]  # fmt: skip
TIMES = [
    b"%011o\0" % 1_600_000_000, b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"\x80\0\0\0\x7f" + b"\xff" * 7, b"\0 7", b"x",
]  # fmt: skip
NAMES = [
    b"a", b"d/", b"d/e", b"./f", b"/g", b"../h", b"d//i/", b"", b"\xff\xfe", "ü".encode(), b"n" * 100, b"x/" * 50,
    b"a\0b", b"usr/.wh.k", b"d/.wh..wh..opq", b"root/.ssh/id_rsa",
]  # fmt: skip
MAGICS = [b"ustar\x0000", b"ustar  \0", b"", b"ustar\0  ", b"ustar   ", b"xstar\x0000"]
PREFIXES = [b"", b"p", b"p/q", b"00000000001\0", b"00000000001\x0000000000002\0", b"\xff\xff", b"\0p", b"p" * 155,
            b"00000000001\0zz", b"\x80\0\0\0\0\0\0\0\0\0\0\1", b"p" * 131 + b"00000000001\0"]  # fmt: skip
FLAGS = [b"0", b"0", b"\0", b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"V", b"M", b"A"]
VALUES: dict[str, list[bytes]] = {
    "path": [b"long", b"long/", b"", b"n\0l", b"\xff", b"./p/../q"],
    "linkpath": [b"target", b"", b"t\0"],
    "size": [b"0", b"3", b"-3", b"--5", b"+3", b" 3", b"3 ", b"", b"1_0", b"0" * 30 + b"2", b"9" * 19, b"x", b"600"],
    "uid": [b"5", b"-5", b"", b"root", b"9" * 18, b"9" * 19, "٣".encode()],
    "gid": [b"7", b"", b"1.5"],
    "mtime": [b"1.5", b"-1.5", b".5", b"5.", b"-0.5", b"1.0000019", b"-1.0000019", b"1.x", b"", b"1e3", b"9" * 18,
              b"1." + b"9" * 40, b"-", b"+1"],
    "atime": [b"1", b"x"],
    "ctime": [b"2", b""],
    "uname": [b"me", b"m\0e"],
    "SCHILY.xattr.user.a": [b"v", b"", b"\0\xff="],
    "comment": [b"=", b"\0", b"x" * 700],
    "k\0": [b"v"],
    "GNU.sparse.major": [b"1", b"0", b"2", b""],
    "GNU.sparse.minor": [b"0", b"1", b""],
    "GNU.sparse.name": [b"sparse", b"sparse/", b""],
    "GNU.sparse.realsize": [b"10", b"600", b"0", b"-1", b"x", b""],
    "GNU.sparse.size": [b"10", b"600", b""],
    "GNU.sparse.numblocks": [b"1", b"2", b"0", b"-1", b"x"],
    "GNU.sparse.map": [b"0,3", b"4,3", b"0,0", b"0,3,3,0", b"5,3,0,3", b"", b"3", b"0,3,", b"+0,3", b" 0,3"],
    "GNU.sparse.offset": [b"0", b"4", b"0,1", b""],
    "GNU.sparse.numbytes": [b"3", b"0", b"x"],
}  # fmt: skip
MAPS = [
    b"1\n4\n3\n", b"0\n", b"1\n0\n3\n", b"2\n0\n1\n5\n2\n", b"1\n4\n", b"x\n", b"-1\n", b"1\n4 \n3\n", b"+1\n0\n3\n",
    b"1\n0\n9223372036854775807\n", b"100\n" + b"0\n0\n" * 100,
]  # fmt: skip


def drawn_tar(draw: Random) -> bytes:
    """One tar of a few parts."""
    parts = b"".join(draw.choice(PARTS)(draw) for _ in range(draw.randint(1, 4)))
    end = draw.choice([END, END, END, b"", END[:512], END[:512] + header("after the end"), END + b"garbage" * 99])
    return damaged(draw, parts) + end if draw.random() < 0.15 else parts + end


def damaged(draw: Random, tar: bytes) -> bytes:
    """A byte is another one, in headers with the right checksum half of the time; or it is cut short."""
    if draw.random() < 0.3:
        return tar[: draw.randrange(0, len(tar) + 1, 512)]
    changed = bytearray(tar)
    at = draw.randrange(len(changed))
    changed[at] = draw.choice([0, 0x20, 0x30, 0x39, 0x80, 0xFF, draw.randrange(256)])
    start = at - at % 512
    if draw.random() < 0.7:
        changed[start + 148 : start + 156] = b" " * 8
        changed[start + 148 : start + 156] = b"%06o\0 " % sum(changed[start : start + 512])
    return bytes(changed)


def _seldom(draw: Random, usual: bytes, others: list[bytes]) -> bytes:
    return draw.choice(others) if draw.random() < 0.05 else usual


def _header(draw: Random, flag: bytes, size: bytes, **fields: bytes) -> bytes:
    magic = draw.choice(MAGICS[:2]) if draw.random() < 0.8 else draw.choice(MAGICS)
    odd = {
        "mode": _seldom(draw, b"0000644\0", NUMBERS),
        "uid": _seldom(draw, b"0000001\0", NUMBERS),
        "gid": _seldom(draw, b"0000002\0", NUMBERS),
        "mtime": _seldom(draw, b"00000000005\0", TIMES),
        "prefix": _seldom(draw, b"", PREFIXES),
        "major": _seldom(draw, b"0000003\0", NUMBERS),
        "minor": _seldom(draw, b"", NUMBERS),
        "trailer": _seldom(draw, b"", [b"tar\0"]),
    }
    named = draw.choice(NAMES)
    link = draw.choice([b"", b"target", b"./d/../t", b"\xff", b"l" * 100])
    return header(named, size, flag, link, magic, checksum=_checksum(draw), **(odd | fields))


def _checksum(draw: Random) -> Callable[[bytes], bytes]:
    """How a header's checksum is written: most of the time as all do, seldom wrongly."""
    return draw.choice([
        *[lambda block: b"%06o\0 " % sum(block)] * 30,
        lambda block: b"%7o " % sum(block),
        lambda block: b"\0%06o\0" % sum(block),
        lambda block: b"%06o\0 " % sum(byte - 256 if byte > 127 else byte for byte in block),
        lambda block: b"%06o\0 " % (sum(block) + 1),
        lambda block: b"\x80\0\0\0" + sum(block).to_bytes(4, "big"),
    ])  # fmt: skip


def _file(draw: Random) -> bytes:
    flag = draw.choice(FLAGS)
    size = draw.choice([0, 1, 5, 512, 700])
    stated = _seldom(draw, b"%011o\0" % size, SIZES)
    content = padded(bytes(draw.randrange(256) for _ in range(min(size, 16))) * (size // 16 + 1))[: size + -size % 512]
    return _header(draw, flag, stated) + (content if flag in b"0\x007VMA" else b"")


def _directory_with_size(draw: Random) -> bytes:
    return header(b"d/", draw.choice([512, 1024]), b"\0", magic=draw.choice(MAGICS)) + draw.choice([b"", bytes(512)])


def _records(draw: Random, keys: list[str]) -> bytes:
    chosen = [(key, draw.choice(VALUES[key])) for key in draw.choices(keys, k=draw.randint(0, 4))]
    return pax(*chosen, flag=draw.choice([b"x", b"x", b"x", b"g"]))


def _extended(draw: Random) -> bytes:
    return _records(draw, list(VALUES))


def _about(draw: Random) -> bytes:
    return _records(draw, ["path", "linkpath", "mtime", "size", "SCHILY.xattr.user.a"])


def _raw_records(draw: Random) -> bytes:
    written = draw.choice([
        b"8 abcde\n", b"99 path=abc\n", b"12 path=abc\n\0", b"+12 path=abc\n", b"012 path=ab\n", b"5 a=\n", b"4 =\n",
        b"6 =ab\n", b"12 path=abcd", b"12 path=abc\n12 path=def\n", b"-1 a=b\n", b"", b"\n", b"1", b" ", b"0 ",
    ])  # fmt: skip
    return header("raw", len(written), draw.choice([b"x", b"g"])) + padded(written)


def _long(draw: Random) -> bytes:
    name = draw.choice([b"long" * 40, b"long/\0", b"\0", b"", b"l\0after", b"\xff" * 5, b"x/\0"])
    return header("././@LongLink", len(name), draw.choice([b"L", b"K"]), magic=b"ustar  \0") + padded(name)


def _old_sparse(draw: Random) -> bytes:
    parts = draw.choice([
        b"", b"00000000000\x0000000000003\0", b"00000000004\x0000000000003\0" + b"00000000007\x0000000000000\0",
        b"00000000004\x0000000000099\0", b"\x80" + bytes(11) + b"00000000003\0", b"4".ljust(12, b"\0") + b"zz",
        b"00000000008\x0000000000001\x0000000000000\x0000000000001\0",
    ])  # fmt: skip
    more = draw.random() < 0.3
    blocks = [parts + bytes(504 - len(parts)) + b"\0" * 8 for _ in range(1)] if more else []
    stored = draw.choice([0, 3, 1])
    return b"".join([
        header(draw.choice(NAMES), stored, b"S", magic=draw.choice([b"ustar  \0"] * 4 + [b"ustar\x0000"]),
               sparse=b"" if more else parts, extended=b"\1" if more else b"",
               real=draw.choice([b"00000000012\0", b"\0" * 12, b"\xff" * 12, b"\0\0" + b"12"])),
        *blocks,
        padded(b"abc"[:stored]),
    ])  # fmt: skip


def _new_sparse(draw: Random) -> bytes:
    records = [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.name", b"sparse")]
    if draw.random() < 0.9:
        records.append(("GNU.sparse.realsize", draw.choice([b"10", b"7", b"3", b"0"])))
    content = padded(draw.choice(MAPS)) + draw.choice([b"abc", b"", b"abcd"])
    return pax(*records) + header(b"s", len(content), draw.choice([b"0", b"0", b"0", b"\0", b"5"])) + padded(content)


def _sparse_by_records(draw: Random) -> bytes:
    form = draw.choice(["0.0", "0.1", "none"])
    parts = draw.choice([[(0, 3)], [(4, 3)], [(0, 1), (5, 2)], [(0, 3), (9, 0)], [(5, 3), (0, 3)], []])
    records = [("GNU.sparse.size", b"12"), ("GNU.sparse.numblocks", b"%d" % len(parts))]
    if form == "0.0":
        for offset, length in parts:
            records += [("GNU.sparse.offset", b"%d" % offset), ("GNU.sparse.numbytes", b"%d" % length)]
    else:
        records.append(("GNU.sparse.map", b",".join(b"%d,%d" % part for part in parts)))
    if form == "0.1":
        records += [("GNU.sparse.major", b"0"), ("GNU.sparse.minor", b"1"), ("GNU.sparse.name", b"sparse")]
    return pax(*records) + header(b"s", 3, draw.choice([b"0", b"\0"])) + padded(b"abc")


PARTS: list[Callable[[Random], bytes]] = [
    _file, _file, _file, _directory_with_size, _extended, _about, _about, _raw_records, _long, _long, _old_sparse,
    _new_sparse, _sparse_by_records,
]  # fmt: skip
