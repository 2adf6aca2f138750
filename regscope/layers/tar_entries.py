"""The entries of a layer's tar, a batch at a time, as the tar streams by (OCI image-spec, layer.md).

Every file is hashed; nothing is unpacked. The standard library's `tarfile` makes an object of each header and reads
each file through three more: for the small files that layers are made of that takes longer than unpacking gzip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from regscope.errors import TooLarge
from regscope.layers import tar_sparse
from regscope.layers.magic import magic_of
from regscope.layers.packages import MOST_BYTES, package_list, packages_in
from regscope.layers.secrets import may_hold_secret, secret_in
from regscope.layers.tar_header import (
    ZERO,
    damaged,
    decimal,
    inside,
    number,
    pax_records,
    seconds,
    text,
    xattrs,
)
from regscope.layers.tar_source import TarSource

MOST_ENTRIES = 2_000_000
"""Entries of a layer, above which it is taken for an attack."""

KINDS = ("file", "hardlink", "symlink", "character device", "block device", "directory", "fifo")
WHITEOUTS = ("delete", "opaque", "ignored")

_FILE, _HARDLINK, _SYMLINK, _DIRECTORY = 0, 1, 2, 5
_DELETE, _OPAQUE, _IGNORED = range(3)
_KIND_OF = {**{ord(flag): kind for kind, flag in enumerate("0123456")}, 0: _FILE, ord("7"): _FILE, ord("S"): _FILE}
_HEADER_ONLY = {*b"123456"}  # whatever size they state, no content follows
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _GNU_SPARSE = b"LKxgS"
_META = {_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL}

_A_BATCH = 8192
_MOST_META = 2**22  # bytes of a name, or of an extended header
_MOST_PARTS = 1_000_000
_HEAD = 512  # bytes of a file that say what it is


class Columns(NamedTuple):
    """Entries, column by column. Headers are as they stand in the tar; kinds and whiteouts are positions in names."""

    headers: Sequence[bytes]
    paths: Sequence[str]
    kinds: Sequence[int]
    sizes: Sequence[int]
    links: Sequence[str | None]
    whiteouts: Sequence[int | None]
    xattrs: Sequence[str | None]
    sha256s: Sequence[bytes | None]
    magics: Sequence[str | None]
    secrets: Sequence[str | None]


class Batch:
    """Entries that follow one another.

    Attributes:
        rows: the entries, in the order of `Columns`.
        extended: the headers of names that are too long for one, and of extended headers.
        overridden: what extended headers say in place of a header's own numbers: row, field and value.
        packages: path, manager, name, version and architecture of those that lists among the files name.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.extended: list[bytes] = []
        self.overridden: list[tuple[int, str, int]] = []
        self.packages: list[tuple[str, str, str, str, str | None]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self) -> Columns:
        """The entries."""
        # Column by column: zip would make an iterator of each row, and the garbage collector look at all there is.
        return Columns._make([row[place] for row in self.rows] for place in range(len(Columns._fields)))


class _About:
    """What stands before an entry about it."""

    def __init__(self, everywhere: dict[str, bytes]) -> None:
        self.pax = dict(everywhere)
        self.records: list[tuple[str, bytes]] = []
        self.name: str | None = None
        self.link: str | None = None
        self.is_empty = not everywhere


class TarReader:
    """Reads one tar.

    Args:
        source: its bytes.
        most_holes: bytes that the holes of one sparse file may add.
    """

    def __init__(self, source: TarSource, most_holes: int = 2**32) -> None:
        self._source = source
        self._most_holes = most_holes
        self._everywhere: dict[str, bytes] = {}
        self._about = _About({})
        self._batch = Batch()

    def batches(self) -> Iterator[Batch]:
        """All entries.

        Raises:
            InvalidInput: it is no tar, or is cut short.
            TooLarge: it has more entries, or longer names, than any layer has.
        """
        source = self._source
        seen = 0
        while (block := source.block()) and (block[0] or block != ZERO):
            if block[156] in _META:
                self._meta(block)
                continue
            self._entry(block)
            if len(self._batch) >= _A_BATCH:
                seen += len(self._batch)
                if seen > MOST_ENTRIES:
                    raise TooLarge(f"the layer has more than {MOST_ENTRIES:,} entries")
                yield self._batch
                self._batch = Batch()
        yield self._batch
        source.drain()

    def _meta(self, block: bytes) -> None:
        """A header about the next entry, or about all that follow."""
        self._batch.extended.append(block)
        size = _size(block)
        if not 0 <= size <= _MOST_META:
            raise TooLarge(f"the layer has a name or an extended header of {size:,} bytes")
        content = self._source.content(size)
        about, flag = self._about, block[156]
        if flag == _PAX_GLOBAL:
            self._everywhere.update(pax_records(content))
            self._about = _About(self._everywhere)
            return
        about.is_empty = False
        if flag == _LONG_NAME:
            about.name = text(content)
        elif flag == _LONG_LINK:
            about.link = text(content)
        else:
            about.records = pax_records(content)
            about.pax.update(about.records)

    def _entry(self, block: bytes) -> None:
        flag = block[156]
        kind = _KIND_OF.get(flag)
        name, size = _named(block), _size(block)
        link = text(block[157:257]) if kind in (_HARDLINK, _SYMLINK) else None
        stored, attributes, sparse = size, None, None
        if not self._about.is_empty:
            name, link, size = self._told(name, link, size)
            stored, attributes = size, xattrs(self._about.pax)
        if flag == _GNU_SPARSE or not self._about.is_empty:
            sparse, size = self._sparse(block, size)
            name = text(self._about.pax["GNU.sparse.name"]) if "GNU.sparse.name" in self._about.pax else name
            self._about = _About(self._everywhere)
        if size < 0 or stored < 0:
            raise damaged("an entry whose size is negative")
        if kind == _FILE and (flag or not name.endswith("/")):
            path, whiteout = placed(inside(name))
            found = self._file(path, size, stored, sparse)
            self._batch.rows.append((block, path, kind, size, None, whiteout, attributes, *found))
            return
        self._source.pass_on(0 if flag in _HEADER_ONLY else stored, len)
        if kind is None:  # a volume's label, say
            return
        kind = _DIRECTORY if kind == _FILE else kind  # as tars before POSIX wrote directories
        path, whiteout = placed(inside(name))
        link = inside(link) if link is not None and kind == _HARDLINK else link
        self._batch.rows.append((block, path, kind, size, link, whiteout, attributes, None, None, None))

    def _told(self, name: str, link: str | None, size: int) -> tuple[str, str | None, int]:
        """Name, link and size as extended headers have them; the numbers that they have are noted."""
        about, pax = self._about, self._about.pax
        name = text(pax["path"]) if "path" in pax else name if about.name is None else about.name
        if link is not None:
            link = text(pax["linkpath"]) if "linkpath" in pax else link if about.link is None else about.link
        row = len(self._batch)
        for field in ("uid", "gid"):
            if field in pax:
                self._batch.overridden.append((row, field, decimal(pax[field])))
        if "mtime" in pax:
            self._batch.overridden.append((row, "mtime", seconds(pax["mtime"])))
        return name, link, decimal(pax["size"]) if "size" in pax else size

    def _sparse(self, block: bytes, size: int) -> tuple[tar_sparse.SparseContent | None, int]:
        """How a sparse file's content is hashed, and its size with its holes."""
        pax = self._about.pax
        if block[156] == _GNU_SPARSE:
            parts = list(tar_sparse.of_header(block))
            real, goes_on = number(block[483:495]), tar_sparse.goes_on(block, True)
            while goes_on and len(parts) < _MOST_PARTS:
                more = self._source.block()
                parts += tar_sparse.of_extension(more)
                goes_on = tar_sparse.goes_on(more, False)
        elif "GNU.sparse.major" in pax:
            real, parts = decimal(pax.get("GNU.sparse.realsize", b"0")), None
        elif "GNU.sparse.size" in pax:
            real, parts = decimal(pax["GNU.sparse.size"]), tar_sparse.of_records(self._about.records) or []
        else:
            return None, size
        return tar_sparse.SparseContent(parts, real, self._most_holes), real

    def _file(
        self, path: str, size: int, stored: int, sparse: tar_sparse.SparseContent | None
    ) -> tuple[bytes, str | None, str | None]:
        """Hash the content that follows, and look into it where something is to be found there."""
        source = self._source
        manager = package_list(path) if size <= MOST_BYTES else None
        may_be_secret = may_hold_secret(path, size)
        content: bytes | memoryview | None = None
        if sparse is not None:
            source.pass_on(stored, sparse.update)
            digest, head = sparse.digest(), b""
        elif (at_hand := source.at_hand(stored)) is not None:
            digest, head, content = sha256(at_hand).digest(), bytes(at_hand[:_HEAD]), at_hand
        elif manager is not None or may_be_secret:
            content = source.content(stored)
            digest, head = sha256(content).digest(), content[:_HEAD]
        else:
            digest, head = self._long_file(stored)
        secret = None
        if content is not None:
            secret = secret_in(path, bytes(content)) if may_be_secret else None
            if manager is not None:
                self._batch.packages += packages_in(manager, path, bytes(content))
        return digest, magic_of(head) if head else None, secret

    def _long_file(self, size: int) -> tuple[bytes, bytes]:
        hasher, head = sha256(), bytearray()

        def take(part: memoryview) -> None:
            if len(head) < _HEAD:
                head.extend(part[: _HEAD - len(head)])
            hasher.update(part)

        self._source.pass_on(size, take)
        return hasher.digest(), bytes(head)


def _named(block: bytes) -> str:
    """The name in a header; POSIX puts what does not fit into a prefix, where GNU has other things."""
    name = text(block[:100])
    if block[345] and block[257:263] == b"ustar\0" and (prefix := text(block[345:500])):
        return f"{prefix}/{name}"
    return name


def _size(block: bytes) -> int:
    digits = block[124:135]
    if block[135] in b"\0 " and digits.isdigit():
        try:
            return int(digits, 8)
        except ValueError:
            pass
    return number(block[124:136])


def placed(path: str) -> tuple[str, int | None]:
    """The path that an entry is about, and, of a whiteout, how it hides it (layer.md, Whiteouts)."""
    if ".wh." not in path:
        return path, None
    folder, slash, name = path.rpartition("/")
    if not name.startswith(".wh."):
        return path, None
    if name == ".wh..wh..opq":
        return folder, _OPAQUE
    if name.startswith(".wh..wh."):  # AUFS' own
        return path, _IGNORED
    return folder + slash + name.removeprefix(".wh."), _DELETE
