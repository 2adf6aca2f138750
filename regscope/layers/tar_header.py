"""Fields of tar headers, read as Go's archive/tar reads them, since containerd and Docker unpack layers with it.

(POSIX.1-2017, pax; GNU tar manual, Basic Tar Format; star(5).)
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Mapping

from regscope.errors import InvalidInput
from regscope.spec.json_forms import compact

BLOCK = 512
ZERO = bytes(BLOCK)
CHECKSUM = slice(148, 156)
MOST = 2**63 - 1
"""The largest number that a header may state; larger ones are refused."""

STAR = b"tar\0"
"""The end of a header in star's format, whose prefix is shorter: two times follow it."""
_XATTR = "SCHILY.xattr."
_TELLING = ("", "/", ".")  # a name that begins so may be no path from the root
_BLANK = b" \0"

_POSIX, _GNU = b"ustar\0", b"ustar  \0"

_LENGTH = re.compile(rb"\+?0*+([0-9]{1,18}) ")
_INTEGER = re.compile(rb"([+-]?)(?=[0-9])0*+([0-9]{0,19})")
_OF_PARTS = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")  # format 0.0 repeats them, one after the other
_TEXTS = {b"path", b"linkpath", b"uname", b"gname"}


def number(field: bytes) -> int:
    """The number in a field: octal digits between blanks, or base-256 where the first bit is set.

    Raises:
        InvalidInput: the field has neither form, or the number does not fit into 64 bits.
    """
    if not field[0] & 0x80:
        return octal(field)
    value = int.from_bytes(field) & ~(0x80 << 8 * (len(field) - 1))
    value -= (1 << 8 * len(field) - 1) if field[0] & 0x40 else 0
    return _counted(value)


def octal(field: bytes) -> int:
    """The number in a field of octal digits between blanks; 0 where there are none.

    Raises:
        InvalidInput: the field has other characters.
    """
    digits = field.strip(_BLANK).partition(b"\0")[0]
    if digits.strip(b"01234567"):
        raise damaged(f"a field that is not an octal number: {field!r}")
    return int(digits or b"0", 8)


def size_of(block: bytes) -> int:
    """The size that a header states (bytes)."""
    digits = block[124:135]
    if block[135] in _BLANK and digits.isdigit():
        try:
            return int(digits, 8)
        except ValueError:
            pass
    return number(block[124:136])


def checked(block: bytes) -> None:
    """Raise InvalidInput where a header does not have the checksum that it states."""
    stated = octal(block[CHECKSUM])
    rest = block[:148] + b" " * 8 + block[156:]
    if sum(rest) != stated and sum(byte - 256 if byte > 127 else byte for byte in rest) != stated:
        raise damaged("a header whose checksum is wrong")


def is_gnu(block: bytes) -> bool:
    """Whether a header has GNU's own format."""
    return block[257:265] == _GNU


def is_older(block: bytes) -> bool:
    """Whether a header has V7's format, whose last field is the link."""
    return not block.startswith(_POSIX, 257) and not is_gnu(block)


def named(block: bytes) -> str:
    """The name in a header, with the prefix where the format has one."""
    name = text(block[:100])
    if block[345] and (prefix := _prefix(block)):
        return f"{prefix}/{name}"
    return name


def _prefix(block: bytes) -> str:
    if block.startswith(_POSIX, 257):
        return text(block[345:476] if block.endswith(STAR) else block[345:500])
    if not is_gnu(block):
        return ""
    try:  # GNU keeps two times in the place of the prefix
        number(block[345:357])
        number(block[357:369]) if block[357] else 0
    except InvalidInput:  # Go wrote prefixes into headers of this format until 1.8, and reads them still
        written = block[345:500].partition(b"\0")[0]
        return written.decode() if written.isascii() else ""
    return ""


def star_times(block: bytes) -> None:
    """Raise InvalidInput if the two times in a header of star's format are not numbers."""
    if block.startswith(_POSIX, 257):
        number(block[476:488])
        number(block[488:500])


def text(field: bytes) -> str:
    """A name as text; bytes that are not UTF-8 become `\\xff`."""
    written = field.partition(b"\0")[0]
    try:
        return written.decode()
    except UnicodeDecodeError:
        return written.decode("utf-8", "backslashreplace")


def inside(name: str) -> str:
    """A path relative to the root, without leading or trailing slash, `.` and `..`; the root is empty."""
    name = name.removeprefix("./")
    if "/." in name or "//" in name or name[:1] in _TELLING:
        return posixpath.normpath("/" + name).lstrip("/")
    return name.removesuffix("/")


def pax_records(content: bytes) -> dict[str, bytes]:
    """The records of an extended header, `LENGTH KEY=VALUE\\n` each; of several with the same key, the last.

    The sparse parts of format 0.0, which have a record each, become the single record of format 0.1.

    Raises:
        InvalidInput: a record is malformed.
    """
    found: dict[str, bytes] = {}
    parts: list[bytes] = []
    at = 0
    while at < len(content):
        length = _LENGTH.match(content, at)
        begin, end = (length.end(), at + int(length[1])) if length is not None else (0, 0)
        key, equals, value = content[begin : end - 1].partition(b"=")
        if not (begin < end <= len(content) and content[end - 1] == 0x0A and key and equals) or b"\0" in key:
            raise damaged("an extended header with a malformed record")
        at = end
        if key in _OF_PARTS:
            if key != _OF_PARTS[len(parts) % 2] or b"," in value:
                raise damaged("a sparse file whose map does not list offsets and lengths in pairs")
            parts.append(value)
        elif key in _TEXTS and b"\0" in value:
            raise damaged("an extended header with a NUL byte in a name")
        else:
            found[text(key)] = value
    if parts:
        found["GNU.sparse.map"] = b",".join(parts)
    return found


def seconds(value: bytes) -> int:
    """A time of an extended header, in microseconds.

    Raises:
        InvalidInput: it is not a number.
    """
    whole, _, fraction = value.partition(b".")
    if fraction and not fraction.isdigit():
        raise damaged(f"a time that is not a number of seconds: {value[:40]!r}")
    parts = int(fraction[:9].ljust(9, b"0"))
    return (integer(whole) * 10**9 + (-parts if whole.startswith(b"-") else parts)) // 1000


def integer(value: bytes) -> int:
    """A decimal number of an extended header or of a sparse map.

    Raises:
        InvalidInput: it is no decimal number, or does not fit into 64 bits.
    """
    digits = _INTEGER.fullmatch(value)
    if digits is None:
        raise damaged(f"a field that is not a decimal number: {value[:40]!r}")
    return _counted(int(digits[1] + (digits[2] or b"0")))


def _counted(value: int) -> int:
    if not -MOST - 1 <= value <= MOST:
        raise damaged(f"a number that does not fit into 64 bits: {value:,}")
    return value


def xattrs(pax: Mapping[str, bytes]) -> str | None:
    """The extended attributes among the records, as a JSON object with values in base64; None where there are none."""
    found = {
        key.removeprefix(_XATTR): base64.b64encode(value).decode()
        for key, value in pax.items()
        if key.startswith(_XATTR)
    }
    return compact(dict(sorted(found.items()))).decode() if found else None


def damaged(why: str) -> InvalidInput:
    """The error for a layer that is no tar."""
    return InvalidInput(f"a layer that is no tar: {why}")
