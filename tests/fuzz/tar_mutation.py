"""Tars with other headers, blocks and bytes, most of them with the checksums that their headers then have."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.fuzz.mutation import LONGEST, change_bytes, changed
from tests.lab.tars import record

BLOCK = 512
_FIELDS = {
    0: 100, 100: 8, 108: 8, 116: 8, 124: 12, 136: 12, 156: 1, 157: 100, 257: 8, 265: 32, 329: 8, 337: 8, 345: 155,
    386: 12, 398: 12, 410: 12, 482: 1, 483: 12,
}  # fmt: skip
"""Where fields begin (POSIX, pax; GNU's sparse ones as well), and how long they are."""
_FLAGS = b"\0" + b"01234567LKxgSMVDNXA"
_NAMES = (
    b"", b"/", b".", b"..", b"a", b"d/", b"././@LongLink", b".wh.a", b"d/.wh..wh..opq", b".wh.", b"a/../../b",
    b"\xff", b"a" * 100, b"var/lib/dpkg/status", b"lib/apk/db/installed", b"usr/lib/sysimage/rpm/rpmdb.sqlite",
    b"app/.env", b"a.dist-info/METADATA", b"node_modules/a/package.json",
)  # fmt: skip
_KEYS = (
    "path", "linkpath", "size", "uid", "gid", "mtime", "atime", "SCHILY.xattr.user.a", "GNU.sparse.major",
    "GNU.sparse.minor", "GNU.sparse.size", "GNU.sparse.realsize", "GNU.sparse.name", "GNU.sparse.map",
    "GNU.sparse.offset", "GNU.sparse.numbytes", "GNU.sparse.numblocks", "charset", "hdrcharset", "",
)  # fmt: skip
_VALUES = (
    b"", b"0", b"1", b"5", b"-1", b"--5", b"1.5", b"-1.5", b".", b"-", b"1e5", b"0,1", b"0,1,2", b"1,0,1,0", b"5,5",
    b",", b"0,5,3,4", b"\xc2\xb2", b"a", b"a/b", b"/", b"..", b"\0", b"\xff", b"9223372036854775808",
    b"99999999999999999999", b"4294967296", b"9" * 400, b"a" * 300,
)  # fmt: skip
_NO_NUMBERS = (b"", b" ", b"-1", b"8", b"0x1", b"\0007", b"  17 \0", b"1 1", b"\xff\xff", b"+5", b"\xc2\xb2")


def tar_changed(random: Random, seeds: Sequence[bytes]) -> bytes:
    """A tar with some headers, blocks or bytes changed."""
    if random.random() < 0.1:
        return changed(random, seeds)
    whole = random.choice(seeds)
    blocks = [whole[at : at + BLOCK] for at in range(0, len(whole), BLOCK)]
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        _change_a_block(random, blocks, seeds)
    tar = b"".join(blocks)[:LONGEST]
    return tar if random.random() < 0.05 else with_checksums(tar)


def _change_a_block(random: Random, blocks: list[bytes], seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(blocks) + 1)
    block = bytearray(blocks[at % len(blocks)] if blocks else bytes(BLOCK))
    match random.randrange(8):
        case 0:
            del blocks[at : at + random.choice((1, 1, 2))]
        case 1:
            blocks[at:at] = [bytes(block)] * random.choice((1, 1, 1, 20))
        case 2:
            other = random.choice(seeds)
            start = random.randrange(len(other) // BLOCK + 1) * BLOCK
            blocks.insert(at, other[start : start + BLOCK])
        case 3:
            change_bytes(random, block, seeds)
            blocks[at : at + 1] = [bytes(block[:BLOCK]).ljust(BLOCK, b"\0")]
        case _:
            _change_field(random, block)
            blocks[at : at + 1] = [bytes(block)]


def _change_field(random: Random, header: bytearray) -> None:
    start, length = random.choice(list(_FIELDS.items()))
    if start == 156:
        value = bytes([random.choice(_FLAGS)])
    elif length in (8, 12):
        value = _number(random, length)
    else:
        value = random.choice(_NAMES)
    header[start : start + length] = value[:length].ljust(length, random.choice((b"\0", b"\0", b" ")))
    if b"ustar" not in header[257:262] and random.random() < 0.5:
        header[257:265] = random.choice((b"ustar\x0000", b"ustar  \0"))


def _number(random: Random, length: int) -> bytes:
    number = random.choice((0, 1, 5, 511, 512, 513, 4096, 2**22, 2**31, 2**33 - 1, 2**40, 2**62, 2**63, 2**64))
    match random.randrange(6):
        case 0:
            return b"\x80" + (number % 256 ** (length - 1)).to_bytes(length - 1, "big")
        case 1:
            return (-number % 256**length | 1 << length * 8 - 1).to_bytes(length, "big")
        case 2:
            return random.choice(_NO_NUMBERS)
        case _:
            return b"%0*o" % (length - 1, number % 8 ** (length - 1))


def with_checksums(tar: bytes) -> bytes:
    """`tar`, with the checksums of what looks like headers put right."""
    written = bytearray(tar)
    for at in range(0, len(written) - BLOCK + 1, BLOCK):
        if written[at + 257 : at + 262] == b"ustar":
            written[at + 148 : at + 156] = b" " * 8
            written[at + 148 : at + 156] = b"%06o\0 " % sum(written[at : at + BLOCK])
    return bytes(written)


def records_changed(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Records of an extended header, with their lengths as they then are; some with changed bytes."""
    if random.random() < 0.3:
        return changed(random, seeds)
    whole = bytearray()
    for _ in range(random.choice((1, 1, 2, 3, 5, 8))):
        value = bytearray(random.choice(_VALUES))
        if random.random() < 0.2:
            change_bytes(random, value, _VALUES)
        whole += record(random.choice(_KEYS), bytes(value))
    return bytes(whole[:LONGEST])
