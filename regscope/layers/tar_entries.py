"""The entries of a layer's tar, in batches, read from a stream (OCI image-spec, layer.md).

Every file is hashed; nothing is unpacked. The standard library's `tarfile` makes an object for each header and reads
each file through three more: for the small files of layers that takes longer than decompressing gzip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from regscope.errors import TooLarge
from regscope.layers import tar_sparse
from regscope.layers.budget import Budget
from regscope.layers.magic import magic_of
from regscope.layers.packages import MOST_BYTES, package_list, packages_in
from regscope.layers.secrets import may_hold_secret, secret_in
from regscope.layers.tar_header import (
    ZERO,
    damaged,
    inside,
    integer,
    named,
    pax_records,
    seconds,
    size_of,
    text,
    xattrs,
)
from regscope.layers.tar_source import TarSource
from regscope.layers.tar_sparse import Part, Spread

KINDS = ("file", "hardlink", "symlink", "character device", "block device", "directory", "fifo")
WHITEOUTS = ("delete", "opaque", "ignored")

_FILE, _HARDLINK, _SYMLINK, _DIRECTORY = 0, 1, 2, 5
_DELETE, _OPAQUE, _IGNORED = range(3)
_KIND_OF = {**{ord(flag): kind for kind, flag in enumerate("0123456")}, 0: _FILE, ord("7"): _FILE, ord("S"): _FILE}
_HEADER_ONLY = {*b"123456"}  # no content follows them, whatever size they state
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _GNU_SPARSE = b"LKxgS"
_META = {_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL}
_TIMES = ("mtime", "atime", "ctime")
_KEPT = ("uid", "gid", "mtime")  # the other times must be valid, and are not kept

_A_BATCH = 8192
_MOST_META = 2**20  # bytes of a name, or of an extended header: Go's limit
_HEAD = 512  # first bytes of a file, by which its kind is found


class Columns(NamedTuple):
    """Entries as columns. Headers are the tar's own bytes; kinds and whiteouts are positions in lists of names."""

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
        others: the headers that are no entries: of long names, extended headers, volume labels and the like.
        overridden: the numbers from extended headers that replace a header's own: row, field and value.
        packages: path, manager, name, version and architecture of the packages that files in the layer list.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.others: list[bytes] = []
        self.overridden: list[tuple[int, str, int]] = []
        self.packages: list[tuple[str, str, str, str, str | None]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def columns(self) -> Columns:
        """The entries."""
        # Column by column: zip would create an object for each row, and trigger the garbage collector.
        return Columns._make([row[place] for row in self.rows] for place in range(len(Columns._fields)))


class _About:
    """Extended headers and long names that apply to the next entry; a global header in between discards them."""

    def __init__(self) -> None:
        self.pax: dict[str, bytes] = {}
        self.name = ""
        self.link = ""
        self.is_empty = True


class TarReader:
    """Reads one tar.

    Args:
        source: the tar's bytes.
        budget: of the layer.
    """

    def __init__(self, source: TarSource, budget: Budget | None = None) -> None:
        self._source = source
        self._budget = budget or Budget()
        self._about = _About()
        self._batch = Batch()

    def batches(self) -> Iterator[Batch]:
        """All entries.

        Raises:
            InvalidInput: the layer is no tar, or ends too early.
            TooLarge: the layer exceeds the budget.
        """
        source = self._source
        headers = 0
        while (block := source.block()) and (block[0] or block != ZERO):
            headers += 1
            if block[156] in _META:
                self._meta(block)
            else:
                self._entry(block)
            if headers >= _A_BATCH:
                self._budget.take("headers", headers)
                yield self._batch
                self._batch, headers = Batch(), 0
        self._budget.take("headers", headers)
        yield self._batch
        if block and source.block() not in (b"", ZERO):
            raise damaged("a single block of zeros with more after it: two end a tar")
        source.drain()

    def _meta(self, block: bytes) -> None:
        """Read an extended header, a long name, or a global header; a global header applies to nothing, as in Go."""
        self._batch.others.append(block)
        size = size_of(block)
        if not 0 <= size <= _MOST_META:
            raise TooLarge(f"the layer has a name or an extended header of {size:,} bytes")
        content = self._source.content(size)
        about, flag = self._about, block[156]
        about.is_empty = False
        if flag == _LONG_NAME:
            about.name = text(content)
        elif flag == _LONG_LINK:
            about.link = text(content)
        else:
            self._budget.take("lines", content.count(b"\n"))
            about.pax = pax_records(content)
            if flag == _PAX_GLOBAL:
                self._about = _About()

    def _entry(self, block: bytes) -> None:
        flag = block[156]
        kind = _KIND_OF.get(flag)
        name, size = named(block), size_of(block)
        link = text(block[157:257]) if kind in (_HARDLINK, _SYMLINK) else None
        is_odd = flag == _GNU_SPARSE
        attributes: str | None = None
        told: list[tuple[str, int]] | None = None
        parts: list[Part] | None = None
        if size < 0 and flag not in _HEADER_ONLY:
            raise damaged(f"an entry with a negative size: {size:,} bytes")
        if not self._about.is_empty:
            is_odd = True
            name, link, size, attributes, told = self._told(name, link, size)
        if kind == _FILE and not flag and name.endswith("/"):
            kind = _DIRECTORY  # the form of directories before POSIX
        left = stored = size if kind is None or kind == _FILE else 0  # others have no content
        if stored < 0:
            raise damaged(f"an entry with a negative size: {size:,} bytes")
        if is_odd:
            name, size, parts, left = self._sparse(block, kind, name, size, stored)
            self._about = _About()
        if kind is None:  # for example a volume label
            self._batch.others.append(block)
            self._source.pass_on(left, len)
            return
        path, whiteout = placed(inside(name))
        if told is not None:
            self._keep(path, link, attributes, told)
        if kind == _FILE:
            found = self._file(path, size, left, parts)
            self._batch.rows.append((block, path, kind, size, None, whiteout, attributes, *found))
            return
        link = inside(link) if link is not None and kind == _HARDLINK else link
        self._batch.rows.append((block, path, kind, max(size, 0), link, whiteout, attributes, None, None, None))

    def _told(
        self, name: str, link: str | None, size: int
    ) -> tuple[str, str | None, int, str | None, list[tuple[str, int]]]:
        """Name, link, size, attributes and other numbers; extended headers take precedence over the header's own."""
        about, pax = self._about, self._about.pax
        name = about.name or text(pax.get("path", b"")) or name
        if link is not None:
            link = about.link or text(pax.get("linkpath", b"")) or link
        told = [(field, integer(value)) for field in ("uid", "gid") if (value := pax.get(field))]
        for field in _TIMES:
            if value := pax.get(field):
                told.append((field, seconds(value)))
        return name, link, integer(pax["size"]) if pax.get("size") else size, xattrs(pax), told

    def _keep(self, path: str, link: str | None, attributes: str | None, told: list[tuple[str, int]]) -> None:
        """Record the values from extended headers for the entry whose row is appended next."""
        self._budget.take("kept", len(path) + len(link or "") + len(attributes or ""))
        row = len(self._batch)
        self._batch.overridden += [(row, field, value) for field, value in told if field in _KEPT]

    def _sparse(
        self, block: bytes, kind: int | None, name: str, size: int, stored: int
    ) -> tuple[str, int, list[Part] | None, int]:
        """Name and size (bytes), the parts of a sparse file (None for others), and how many bytes of data follow."""
        pax, taken = self._about.pax, 0
        if block[156] == _GNU_SPARSE:
            parts, size = tar_sparse.of_header(block, self._source, self._budget)
        elif (version := tar_sparse.version(pax)) is None:
            return name, size, None, stored
        else:
            name = text(pax.get("GNU.sparse.name", b"")) or name
            size = tar_sparse.size_with_holes(pax, size)
            if version == "1.0":
                parts, taken = tar_sparse.before_data(self._source, stored, self._budget)
            else:
                parts = tar_sparse.of_records(pax)
        if kind not in (_FILE, None):
            raise damaged("a sparse map for an entry that is not a regular file")
        tar_sparse.check(parts, size)
        return name, size, parts, stored - taken

    def _file(
        self, path: str, size: int, stored: int, parts: list[Part] | None
    ) -> tuple[bytes | None, str | None, str | None]:
        """Hash the content that follows, and search it where it may have packages or a secret."""
        source = self._source
        manager = package_list(path) if size <= MOST_BYTES else None
        may_be_secret = may_hold_secret(path, size)
        content: bytes | memoryview | None = None
        if parts is None and (at_hand := source.at_hand(stored)) is not None:
            digest, head, content = sha256(at_hand).digest(), bytes(at_hand[:_HEAD]), at_hand
        elif manager is not None or may_be_secret:
            content = self._whole_file(size, stored, parts)
            digest, head = sha256(content).digest(), content[:_HEAD]
        else:
            return (*self._long_file(size, stored, parts), None)
        secret = None
        if may_be_secret or manager is not None:
            content = bytes(content)
            self._budget.look_into(content)
            secret = secret_in(path, content) if may_be_secret else None
            if manager is not None:
                self._batch.packages += packages_in(manager, path, content, self._budget)
        return digest, magic_of(head) if head else None, secret

    def _whole_file(self, size: int, stored: int, parts: list[Part] | None) -> bytes:
        if parts is None:
            return self._source.content(stored)
        pieces: list[bytes] = []
        self._content(size, stored, parts, lambda piece: pieces.append(bytes(piece)))
        return b"".join(pieces)

    def _long_file(self, size: int, stored: int, parts: list[Part] | None) -> tuple[bytes | None, str | None]:
        hasher, head = sha256(), bytearray()

        def take(part: bytes | memoryview) -> None:
            if len(head) < _HEAD:
                head.extend(part[: _HEAD - len(head)])
            hasher.update(part)

        if parts is not None and not self._budget.affords("holes", tar_sparse.holes_of(parts, size)):
            self._source.pass_on(stored, len)  # hashing its holes would take longer than everything else
            return None, None
        self._content(size, stored, parts, take)
        return hasher.digest(), magic_of(bytes(head)) if head else None

    def _content(self, size: int, stored: int, parts: list[Part] | None, take: tar_sparse.Take) -> None:
        """Pass a file's content to `take`, piece by piece."""
        if parts is None:
            self._source.pass_on(stored, take)
            return
        spread = Spread(parts, size, take)
        self._source.pass_on(stored, spread.update)
        spread.end()


def placed(path: str) -> tuple[str, int | None]:
    """The path that an entry concerns, and, for a whiteout, its kind (layer.md, Whiteouts)."""
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
