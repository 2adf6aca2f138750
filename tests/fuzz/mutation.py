"""Inputs made of others by a few changes: of bytes, of the numbers in them, and of what two of them have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

Mutate = Callable[[Random, Sequence[bytes]], bytes]
"""Makes an input of seeds."""

LONGEST = 2**17
"""Bytes of an input."""

_NUMBERS = re.compile(rb"\d+")
_MOST_LOOKED_AT = 2**12  # bytes in which a number is looked for
_ODD_NUMBERS = (
    b"0", b"-1", b"--5", b"00", b"+1", b"1.5", b"1e999", b"NaN", b"Infinity", b"0x10", b"1_0", b"\xc2\xb2", b"\xd9\xa1",
    b"2147483648", b"4294967296", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616",
    b"-9223372036854775809", b"99999999999999999999999", b"1" + b"0" * 400, b"9" * 5000,
)  # fmt: skip
_ODD_WORDS = (
    b"\0", b"\xff", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"null", b"[]",
    b"{}", b'"\\ud800"', b"true", b"\\", b'"', b"'", b",", b"=", b";", b"<", b">", b":", b"@", b"/", b"//", b"..",
    b"%00", b"\r\n", b"\n", b"\r\n\r\n", b"[", b"]", b"[::1", b"{", b" ", b"\t", b"&a", b"*a",
    b"a" * 5000, b"[" * 5000, b"(" * 500, b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18",
)  # fmt: skip
_WIDTHS = (1, 2, 4, 8)


def changed(random: Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with some bytes changed."""
    data = bytearray(random.choice(seeds))
    change_bytes(random, data, seeds)
    return bytes(data[:LONGEST])


def change_bytes(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    """Change some of `data`; others that parts may come from are in `seeds`."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        random.choice(_CHANGES)(random, data, seeds)


def _flip(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.randrange(256)


def _insert(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.choice(_ODD_WORDS)


def _overwrite(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    data[at : at + random.randrange(1, 12)] = random.choice(_ODD_WORDS)


def _remove(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    del data[at : at + random.randrange(1, 40)]


def _repeat(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    part = data[at : at + random.randrange(1, 40)]
    data[at:at] = part * (random.choice((1, 2, 50)) if random.random() < 0.98 else LONGEST // 2 // max(len(part), 1))


def _cut(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    if random.random() < 0.5:
        del data[random.randrange(len(data) + 1) :]
    else:
        del data[: random.randrange(len(data) + 1)]


def _splice(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = random.choice(seeds)
    start = random.randrange(len(other) + 1)
    at = random.randrange(len(data) + 1)
    data[at : at + random.choice((0, len(data)))] = other[start : start + random.choice((8, 64, len(other)))]


def _renumber(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    """Another number where one is written in digits."""
    start = random.randrange(len(data) + 1)
    if found := _NUMBERS.search(data, start, start + _MOST_LOOKED_AT) or _NUMBERS.search(data, 0, _MOST_LOOKED_AT):
        data[found.start() : found.end()] = random.choice(_ODD_NUMBERS)


def _relength(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    """Another number where one may be written in bytes."""
    width = random.choice(_WIDTHS)
    if len(data) >= width:
        at = random.randrange(len(data) - width + 1)
        most = 256**width - 1
        number = random.choice((0, 1, most, most >> 1, (most >> 1) + 1, len(data), random.randint(0, most)))
        data[at : at + width] = (number & most).to_bytes(width, random.choice(("big", "little")))


_CHANGES = (
    _flip, _set, _insert, _overwrite, _remove, _repeat, _cut, _splice, _renumber, _renumber, _relength,
)  # fmt: skip
