"""Layers made by hand: what builders seldom write, and readers must get right."""

from __future__ import annotations

import io
import tarfile
from typing import Any


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a tar and its content, which is what it is called unless said otherwise."""
    content = fields.pop("content", name.encode()) if kind == tarfile.REGTYPE else b""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, content


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar of members in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


FOLDER, LINK, SYMLINK = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
LONG = "deep/" + "x" * 150

CORNERS: dict[str, list[bytes]] = {
    "overwritten": [tar(entry("a", mode=0o600), entry("b")), tar(entry("a", content=b"new", mode=0o755))],
    "deleted": [tar(entry("d", FOLDER), entry("d/a"), entry("d/b")), tar(entry("d/.wh.a", content=b""))],
    "a folder deleted": [
        tar(entry("d", FOLDER), entry("d/e", FOLDER), entry("d/e/a")),
        tar(entry(".wh.d", content=b"")),
    ],
    "opaque": [
        tar(entry("d", FOLDER), entry("d/a")),
        tar(entry("d", FOLDER), entry("d/.wh..wh..opq", content=b""), entry("d/b")),
    ],
    "a file in the place of a folder": [tar(entry("d", FOLDER), entry("d/a")), tar(entry("d"))],
    "a folder in the place of a file": [tar(entry("d")), tar(entry("d", FOLDER), entry("d/a"))],
    "deleted and made again": [
        tar(entry("a"), entry("b")),
        tar(entry(".wh.a", content=b"")),
        tar(entry("a", content=b"2")),
    ],
    "a hard link outlives its target": [
        tar(entry("a", content=b"shared"), entry("b", LINK, linkname="a"), entry("c", LINK, linkname="a")),
        tar(entry(".wh.a", content=b"")),
    ],
    "hard links": [tar(entry("a", content=b"one"), entry("b", LINK, linkname="a"))],
    "links and long names": [
        tar(entry("deep", FOLDER), entry(LONG), entry("link", SYMLINK, linkname=LONG), entry("ü/ö", content=b"utf-8"))
    ],
    "twice in one layer": [tar(entry("a", content=b"first"), entry("a", content=b"second"))],
    "dots": [tar(entry("./", FOLDER, mode=0o755), entry("./a"), entry("./d/", FOLDER), entry("./d/b"))],
    "owners and times": [tar(entry("a", uid=12, gid=34, mtime=1_600_000_000), entry("d", FOLDER, uid=56, mode=0o711))],
    "large": [tar(entry("large", content=bytes(3_000_000)), entry("after"))],
    "nothing": [tar(), tar(entry("a"))],
}

XATTRS = {
    "SCHILY.xattr.user.note": "kept",
    "SCHILY.xattr.security.capability": "\1\0\0\2\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
}
CHARACTER, BLOCK, FIFO = tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE

MORE_CORNERS: dict[str, list[bytes]] = {
    "no headers of folders": [tar(entry("a/b/c"), entry("a/d")), tar(entry("a/b/.wh.c", content=b""), entry("e/f"))],
    "a folder without a header in the place of a deleted one": [
        tar(entry("d", FOLDER, mode=0o700, uid=7), entry("d/a")),
        tar(entry(".wh.d", content=b"")),
        tar(entry("d/b")),
    ],
    "a whiteout in the lowest layer": [tar(entry("a"), entry(".wh.b", content=b""), entry("d/.wh.c", content=b""))],
    "a whiteout of nothing": [tar(entry("a"), entry("d/b")), tar(entry("d/.wh.none", content=b""), entry("c"))],
    "a whiteout spares its own layer": [
        tar(entry("a"), entry("b"), entry("d", FOLDER), entry("d/x")),
        tar(entry("a", content=b"2"), entry(".wh.a", content=b""), entry(".wh.d", content=b""), entry("d", FOLDER),
            entry("d/y")),
    ],
    "opaque spares its own layer": [
        tar(entry("d", FOLDER), entry("d/a"), entry("d/e", FOLDER), entry("d/e/f")),
        tar(entry("d", FOLDER), entry("d/b"), entry("d/e", FOLDER), entry("d/e/g"),
            entry("d/.wh..wh..opq", content=b"")),
    ],
    "opaque, without a header": [
        tar(entry("d", FOLDER, mode=0o711), entry("d/a"), entry("e")),
        tar(entry("d/.wh..wh..opq", content=b""), entry("d/b")),
    ],
    "all deleted, then more": [
        tar(entry("d", FOLDER), entry("d/e", FOLDER), entry("d/e/f"), entry("a")),
        tar(entry(".wh.d", content=b""), entry(".wh.a", content=b"")),
        tar(entry("a", content=b"again"), entry("d", FOLDER, mode=0o700)),
    ],
    "kinds replace one another": [
        tar(entry("a"), entry("b", SYMLINK, linkname="a"), entry("c", FOLDER), entry("c/x"), entry("d", FIFO)),
        tar(entry("a", SYMLINK, linkname="b"), entry("b", FOLDER), entry("b/y"), entry("c", SYMLINK, linkname="b"),
            entry("d")),
    ],
    "folders merge, the last header counts": [
        tar(entry("d", FOLDER, mode=0o700, uid=1), entry("d/a")),
        tar(entry("d", FOLDER, mode=0o755, gid=2, mtime=1_500_000_000), entry("d/b")),
    ],
    "a link to a lower layer": [
        tar(entry("a", content=b"below", mode=0o600, uid=3, mtime=1_400_000_000)),
        tar(entry("b", LINK, linkname="a")),
        tar(entry(".wh.a", content=b"")),
    ],
    "a link to a link": [
        tar(entry("a", content=b"one")),
        tar(entry("d/b", LINK, linkname="./a")),
        tar(entry("c", LINK, linkname="/d/b"), entry("a", content=b"two")),
    ],
    "a link to what is overwritten in its own layer": [
        tar(entry("a", content=b"first"), entry("b", LINK, linkname="a"), entry("a", content=b"second"))
    ],
    "a link to a symlink": [tar(entry("a", SYMLINK, linkname="x"), entry("b", LINK, linkname="a"))],
    "devices": [
        tar(entry("null", CHARACTER, devmajor=1, devminor=3, mode=0o666),
            entry("disk", BLOCK, devmajor=7, devminor=300), entry("pipe", FIFO)),
    ],
    "special bits": [tar(entry("a", mode=0o4755, uid=1), entry("b", mode=0o2755), entry("t", FOLDER, mode=0o1777))],
    "extended attributes": [tar(entry("a", pax_headers=XATTRS), entry("b"))],
    "parts of a second": [tar(entry("a", mtime=1_600_000_000.25), entry("b", mtime=-1))],
    "names that sort oddly": [
        tar(entry("a", FOLDER), entry("a/b"), entry("a-b"), entry("a.b", FOLDER), entry("a.b/c"), entry("a b")),
        tar(entry(".wh.a", content=b"")),
    ],
    "whiteouts below the file that takes a folder's place": [
        tar(entry("man", FOLDER), entry("man/a"), entry("man/d", FOLDER), entry("man/d/b"), entry("z")),
        tar(entry("man", content=b"x"), entry("man/.wh.a", content=b""), entry("man/d/.wh.b", content=b"")),
    ],
    "one layer twice": [tar(entry("a"), entry("d", FOLDER), entry("d/b"))] * 2,
    "nothing at all": [tar()],
}  # fmt: skip
