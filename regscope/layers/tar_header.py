"""The parts of tar headers that need care (POSIX.1-2017, pax; GNU tar, Basic Tar Format)."""

from __future__ import annotations

import base64
import json
import posixpath
from collections.abc import Mapping

from regscope.errors import InvalidInput

BLOCK = 512
ZERO = bytes(BLOCK)
_XATTR = "SCHILY.xattr."
CHECKSUM = slice(148, 156)
_TELLING = ("", "/", ".")  # a name that begins so may be no path from the root


def number(field: bytes) -> int:
    """A numeric field: octal digits, or base-256 where its first bit is set.

    Raises:
        InvalidInput: it is neither.
    """
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ~(0x80 << 8 * (len(field) - 1))
        return value - (1 << 8 * len(field) - 1) if field[0] & 0x40 else value
    digits = field.split(b"\0", 1)[0].strip()
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise damaged(f"a number that is none: {field!r}")
    return int(digits, 8)


def checked(block: bytes) -> None:
    """Raise InvalidInput where a header does not have the checksum that it states."""
    stated = number(block[CHECKSUM])
    rest = block[:148] + b" " * 8 + block[156:]
    if sum(rest) != stated and sum(byte - 256 if byte > 127 else byte for byte in rest) != stated:
        raise damaged("a header with a wrong checksum")


def text(field: bytes) -> str:
    """A name as text; what is not UTF-8 in it is shown as `\\xff`."""
    written = field.split(b"\0", 1)[0]
    try:
        return written.decode()
    except UnicodeDecodeError:
        return written.decode("utf-8", "backslashreplace")


def inside(name: str) -> str:
    """A path from the root, with no slash before or after it, no `.` and no `..`; the root is empty."""
    name = name.removeprefix("./")
    if "/." in name or "//" in name or name[:1] in _TELLING:
        return posixpath.normpath("/" + name).lstrip("/")
    return name.removesuffix("/")


def pax_records(content: bytes) -> list[tuple[str, bytes]]:
    """The records of an extended header, `LENGTH KEY=VALUE\\n` each, in their order.

    Raises:
        InvalidInput: they are not of that form.
    """
    found = []
    at = 0
    while at < len(content) and content[at : at + 1] != b"\0":
        space = content.find(b" ", at, at + 20)
        digits = content[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if end <= space + 2 or end > len(content) or not equals or content[end - 1 : end] != b"\n":
            raise damaged("an extended header whose records are not of their form")
        found.append((text(key), value))
        at = end
    return found


def seconds(value: bytes) -> int:
    """A time of an extended header, in microseconds.

    Raises:
        InvalidInput: it is no number.
    """
    whole, _, fraction = value.decode("latin-1").strip().partition(".")
    sign, digits = (-1, whole[1:]) if whole.startswith("-") else (1, whole)
    if not (digits + fraction).isdigit() or not (digits + fraction).isascii() or len(digits) > 18:
        raise damaged(f"a time that is none: {value[:40]!r}")
    return sign * (int(digits or "0") * 1_000_000 + int((fraction + "000000")[:6]))


def decimal(value: bytes) -> int:
    """A number of an extended header.

    Raises:
        InvalidInput: it is none.
    """
    digits = value.strip()
    if not digits.lstrip(b"-").isdigit() or len(digits) > 20:
        raise damaged(f"a number that is none: {value[:40]!r}")
    return int(digits)


def xattrs(pax: Mapping[str, bytes]) -> str | None:
    """The extended attributes among the records, as a JSON object with values in base64; None where there are none."""
    found = {
        key.removeprefix(_XATTR): base64.b64encode(value).decode()
        for key, value in pax.items()
        if key.startswith(_XATTR)
    }
    return json.dumps(found, sort_keys=True, separators=(",", ":")) if found else None


def damaged(why: str) -> InvalidInput:
    """The error for a layer that is no tar."""
    return InvalidInput(f"a layer that is no tar: {why}")
