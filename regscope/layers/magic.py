"""What a file is, by its first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable

HEAD = 512
"""Bytes of a file that are looked at."""

TEXT = "text"
_TAR = slice(257, 262)

# Control bytes that texts have, as for file(1): bell, backspace, tab, line feed, form feed, return, escape.
_OF_TEXTS = b"\a\b\t\n\f\r\x1b" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_XML = (b"<?xml", b"<svg", b"<!DOCTYPE")
_JSON = re.compile(rb'\{\s*(?:"[^"\n]*"\s*:|\}\s*$)|\[\s*(?:\{\s*["}]|"[^"$\n]*"\s*[],])')


def magic_of(head: bytes) -> str | None:
    """What a file is by its first bytes, in one or two words: elf, script, gzip … or text.

    Args:
        head: the first 512 bytes, or all of a shorter file.

    Returns:
        None for an unknown kind, and for an empty file.
    """
    known = _BY_FOUR.get(head[:4]) or _BY_TWO.get(head[:2])
    if known is not None:
        found = known if isinstance(known, str) else known(head)
        if found is not None:
            return found
    if head[_TAR] == b"ustar":
        return "tar"
    return _written(head)


def _written(head: bytes) -> str | None:
    """HTML, XML, JSON or any other text."""
    if head.translate(None, _OF_TEXTS) or not head:
        return None
    if not head.isascii() and not _is_utf8(head):
        return None
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n") if head[0] in b"\xef \t\r\n" else head
    if start.startswith(b"<"):
        if _HTML.match(start):
            return "html"
        if start.startswith(_XML):
            return "xml"
    elif start.startswith((b"{", b"[")) and _JSON.match(start):
        return "json"
    return TEXT


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:  # the last character may be cut in two
        return error.reason == "unexpected end of data" and len(head) >= HEAD
    return True


def _cafebabe(head: bytes) -> str:
    """Java class or universal binary: Java's versions begin at 45, and no binary has as many architectures."""
    return "java class" if int.from_bytes(head[4:8]) >= 45 else "mach-o"


def _portable_executable(head: bytes) -> str | None:
    start = int.from_bytes(head[60:64], "little")
    if len(head) < 64 or head[start : start + 4] not in (b"PE\0\0", b""):
        return None
    return "pe" if start < 2**16 else None


def _truetype(head: bytes) -> str | None:
    return "font" if 0 < int.from_bytes(head[4:6]) < 64 else None


def _git_pack(head: bytes) -> str | None:
    return "git pack" if head[4:8] in (b"\0\0\0\2", b"\0\0\0\3") else None


def _riff(head: bytes) -> str | None:
    return {b"WEBP": "webp", b"WAVE": "wav"}.get(head[8:12])


def _bzip2(head: bytes) -> str | None:
    return "bzip2" if head[4:10] in (b"1AY&SY", b"\x17rE8P\x90") else None


def _rest(start: bytes, name: str) -> Callable[[bytes], str | None]:
    """A test for a signature of more than four bytes."""
    return lambda head: name if head.startswith(start) else None


def _python_bytecode(head: bytes) -> str | None:
    """After the version and a line break come flags, time or size, which hold a zero."""
    return "python bytecode" if b"\0" in head[4:16] else None


_BY_FOUR: dict[bytes, str | Callable[[bytes], str | None]] = {
    b"\x7fELF": "elf",
    b"PK\3\4": "zip",
    b"PK\5\6": "zip",
    b"\xfd7zX": _rest(b"\xfd7zXZ\0", "xz"),
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf": _rest(b"7z\xbc\xaf\x27\x1c", "7z"),
    b"\x89PNG": _rest(b"\x89PNG\r\n\x1a\n", "png"),
    b"\xff\xd8\xff\xdb": "jpeg",
    b"\xff\xd8\xff\xe0": "jpeg",
    b"\xff\xd8\xff\xe1": "jpeg",
    b"\xff\xd8\xff\xe2": "jpeg",
    b"\xff\xd8\xff\xee": "jpeg",
    b"GIF8": "gif",
    b"RIFF": _riff,
    b"%PDF": _rest(b"%PDF-", "pdf"),
    b"SQLi": _rest(b"SQLite format 3\0", "sqlite"),
    b"\xca\xfe\xba\xbe": _cafebabe,
    b"\xfe\xed\xfa\xce": "mach-o",
    b"\xfe\xed\xfa\xcf": "mach-o",
    b"\xce\xfa\xed\xfe": "mach-o",
    b"\xcf\xfa\xed\xfe": "mach-o",
    b"\0asm": "wasm",
    b"!<ar": _rest(b"!<arch>\n", "ar archive"),
    b"\xed\xab\xee\xdb": "rpm",
    b"\xde\x12\x04\x95": "gettext catalog",
    b"\x95\x04\x12\xde": "gettext catalog",
    b"\0\1\0\0": _truetype,
    b"OTTO": _rest(b"OTTO\0", "font"),
    b"ttcf": _rest(b"ttcf\0", "font"),
    b"wOFF": _rest(b"wOFF\0", "font"),
    b"wOF2": _rest(b"wOF2\0", "font"),
    b"PACK": _git_pack,
    b"PAR1": "parquet",
    b"\x89HDF": _rest(b"\x89HDF\r\n\x1a\n", "hdf5"),
    b"\x93NUM": _rest(b"\x93NUMPY", "numpy array"),
    **{b"BZh%d" % level: _bzip2 for level in range(1, 10)},
    # Python 2 and 3: two bytes of version, then a line break that tells of transfers as text.
    **{
        bytes((low, high)) + b"\r\n": _python_bytecode
        for high in (0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0xF2, 0xF3)
        for low in range(256)
    },
}
_BY_TWO: dict[bytes, str | Callable[[bytes], str | None]] = {
    b"#!": "script",
    b"\x1f\x8b": "gzip",
    b"MZ": _portable_executable,
}
