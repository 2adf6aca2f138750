"""Flattening layers: the final file system as one tar (OCI image-spec, layer.md, Applying Changesets)."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pyarrow as pa

from regscope.errors import ContentError, InvalidInput
from regscope.images.staying_entries import COLUMNS, NO_TIME, Header, StayingEntries
from regscope.layers.entry_rows import SCHEMA, entry_rows
from regscope.layers.tar_entries import TarReader, placed
from regscope.layers.tar_header import inside
from regscope.layers.tar_source import TarSource, not_small
from regscope.pieces import PIECE, pieces_of

_PLACE = {"path", "linkpath", "size"}

Tar = Callable[[], Iterator[bytes]]
"""A function that starts reading a layer's uncompressed tar; the read fails if the tar's digest is not the diff_id."""


def flattened(layers: Sequence[Tar]) -> Iterator[bytes]:
    """The tar of the final file system when `layers`, lowest first, are applied one upon another.

    Each layer is read twice: to find the entries that stay, and to copy them. Nothing is unpacked to disk.

    Raises:
        InvalidInput: a layer is no tar, or containerd refuses to unpack it.
        ContentError: regscope and Python's `tarfile` read different entries in a layer.
    """
    tables = [_rows(layer) for layer in layers]
    passing = _Passing(StayingEntries(tables))
    for layer, table in zip(layers, tables, strict=True):
        yield from passing.layer(layer, len(table))
    yield from passing.bare_folders()
    yield bytes(2 * tarfile.BLOCKSIZE)


def _rows(layer: Tar) -> pa.Table:
    tables = [SCHEMA.empty_table().select(COLUMNS)]
    rows = 0
    for batch in TarReader(TarSource(not_small(layer()))).batches():
        tables.append(entry_rows(batch, rows).select(COLUMNS))
        rows += len(batch)
    return pa.concat_tables(tables)


class _Passing:
    """Copies the entries that stay, layer by layer."""

    def __init__(self, staying: StayingEntries) -> None:
        self._staying = staying
        self._next = 0
        self._written: dict[int, str] = {}  # the first name that was written for a file, by the entry with its content

    def layer(self, layer: Tar, entries: int) -> Iterator[bytes]:
        """The tar pieces of the entries of the next layer that stay; the layer has `entries` entries."""
        first, staying = self._next, self._staying
        for archive, member in _members(layer):
            number, self._next = self._next, self._next + 1
            if number >= first + entries:
                break
            self._compare(member, number)
            if number in staying.named_by:
                name = staying.named_by[number]
                self._written[name] = self._path(member, name, number)
                yield from self._whole(archive, member, self._written[name], number)
            elif number in staying.names:
                _set_header(member, staying.header(number))  # containerd sets a file's header to that of its last name
                path = self._path(member, number, number)
                yield _link(member, path, self._written[staying.names[number]])
        if self._next != first + entries:
            raise _unlike(f"it has {self._next - first:,} entries or more to `tarfile`, and {entries:,} to regscope")

    def bare_folders(self) -> Iterator[bytes]:
        """The tar pieces of empty directories without an entry: they exist because of deleted files in them."""
        for path in self._staying.bare_folders:
            member = tarfile.TarInfo(_as_written(path))
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            yield _header(member)

    def _compare(self, member: tarfile.TarInfo, number: int) -> None:
        """Check that `tarfile` and regscope read the same entry."""
        path, size = self._staying.read(number)
        found, mark = placed(inside(_text(member.name)))
        if found != path or (mark is None and member.isreg() and member.size != size):
            raise _unlike(f"an entry is {_text(member.name)!r} to `tarfile`, and {path!r} to regscope")

    def _path(self, member: tarfile.TarInfo, name: int, number: int) -> str:
        """The path of the entry `name`, mostly the member itself; if possible with the bytes that the tar has."""
        path = self._staying.path(name)
        written = inside(member.name)
        if path == _text(written):
            return written
        folder, slash, _ = path.rpartition("/")
        if name == number:
            return f"{_as_written(folder)}{slash}{written.rpartition('/')[2]}"
        return _as_written(path)

    def _whole(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, number: int) -> Iterator[bytes]:
        content = archive.extractfile(member) if member.isreg() else None
        if member.issparse():
            member.type = tarfile.REGTYPE  # its holes are read as zeros
        _set_header(member, self._staying.header(number))
        member.name = path
        yield _header(member)
        if content is not None:
            yield from pieces_of(content)
            yield bytes(-member.size % tarfile.BLOCKSIZE)


def _set_header(member: tarfile.TarInfo, header: Header) -> None:
    """Set the header's fields that differ; equal ones keep the form in which they are written."""
    changed = {field for field in ("mode", "uid", "gid") if getattr(member, field) != getattr(header, field)}
    if header.mtime != NO_TIME and abs(member.mtime - header.mtime / 10**6) > 1e-3:
        changed.add("mtime")
    for field in changed:
        setattr(member, field, header.mtime / 10**6 if field == "mtime" else getattr(header, field))
    if changed:
        member.pax_headers = {key: value for key, value in member.pax_headers.items() if key not in changed}


def _members(layer: Tar) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    pieces = layer()
    try:
        with tarfile.open(fileobj=cast(Any, _Reader(pieces)), mode="r|", bufsize=PIECE) as archive:
            for member in archive:
                if member.type in tarfile.SUPPORTED_TYPES:
                    yield archive, member
    except tarfile.TarError as error:
        raise InvalidInput(f"a layer is no tar: {error}") from None
    for _ in pieces:  # bytes after the tar's end belong to its digest
        pass


def _text(name: str) -> str:
    """A name as regscope's own reader decodes it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _as_written(path: str) -> str:
    """A path of regscope's own reader, for the new tar.

    Raises:
        InvalidInput: its bytes may not be UTF-8, and are not known any more.
    """
    if "\\x" in path:
        raise InvalidInput(f"the name {path!r} may not be UTF-8 in the layer, and cannot be written to another one")
    return path


def _unlike(why: str) -> ContentError:
    return ContentError(
        f"a layer cannot be flattened: {why}",
        next_step="Rebuild the image: tar readers disagree on this layer.",
    )


def _link(member: tarfile.TarInfo, path: str, target: str) -> bytes:
    member.name, member.type, member.linkname, member.size = path, tarfile.LNKTYPE, target, 0
    return _header(member)


def _header(member: tarfile.TarInfo) -> bytes:
    member.name = member.name or "./"
    # Extended headers for the old name, link target and size do not apply any more.
    own = {key: value for key, value in member.pax_headers.items() if key not in _PLACE and "GNU.sparse" not in key}
    member.pax_headers = own
    return member.tobuf(tarfile.PAX_FORMAT, tarfile.ENCODING, "surrogateescape")


class _Reader:
    """A file object that reads from pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, amount: int) -> bytes:
        while not self._held and (piece := next(self._pieces, None)) is not None:
            self._held = piece
        taken, self._held = self._held[:amount], self._held[amount:]
        return taken
