"""Several layers as one: the final file system as a tar (OCI image-spec, layer.md, Applying Changesets)."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from regscope.errors import InvalidInput

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_PIECE = 2**20
_PLACE = {"path", "linkpath", "size"}

Tar = Callable[[], Iterator[bytes]]
"""Begins a layer's uncompressed tar, anew each time."""


def flattened(layers: Sequence[Tar]) -> Iterator[bytes]:
    """A tar of what is left when `layers`, lowest first, are applied one upon another.

    Each layer is read twice: to find out what stays, and to pass that on. Nothing is unpacked on the disk.

    Raises:
        InvalidInput: a layer is no tar.
    """
    staying = _staying([_names(layer) for layer in layers])
    for layer, kept in zip(layers, staying, strict=True):
        yield from _pass_on(layer, kept)
    yield bytes(2 * tarfile.BLOCKSIZE)


class _Entry:
    """What a layer says of one path: whether it is a directory, and what it is a hard link to."""

    __slots__ = ("is_folder", "link", "position")

    def __init__(self, position: int, member: tarfile.TarInfo) -> None:
        self.position = position
        self.is_folder = member.isdir()
        self.link = _path(member.linkname) if member.islnk() else None


def _path(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")


def _entries(layer: Tar) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    pieces = layer()
    try:
        with tarfile.open(fileobj=cast(Any, _Reader(pieces)), mode="r|", bufsize=_PIECE) as archive:
            for member in archive:
                yield archive, member
    except tarfile.TarError as error:
        raise InvalidInput(f"a layer that is no tar: {error}") from None
    for _ in pieces:  # what follows the tar's end is part of its digest
        pass


def _names(layer: Tar) -> dict[str, _Entry]:
    """The last entry for each path; what comes later in a tar counts."""
    return {_path(member.name): _Entry(number, member) for number, (_, member) in enumerate(_entries(layer))}


class _Hidden:
    """What the layers above hide of those below."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._trees: set[str] = set()  # of what is under them nothing is left

    def hides(self, path: str) -> bool:
        if path in self._paths:
            return True
        while path:
            path = posixpath.dirname(path)
            if path in self._trees:
                return True
        return False

    def add(self, path: str, entry: _Entry) -> None:
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            self._trees.add(folder)
        elif name.startswith(_WHITEOUT):
            gone = posixpath.join(folder, name.removeprefix(_WHITEOUT))
            self._paths.add(gone)
            self._trees.add(gone)
        else:
            self._paths.add(path)
            if not entry.is_folder:
                self._trees.add(path)


def _staying(layers: Sequence[dict[str, _Entry]]) -> list[dict[int, list[str]]]:
    """By layer: the positions of the entries that stay, each with the paths at which it stays.

    A file has more than one where hard links to it outlive it.
    """
    hidden = _Hidden()
    found: list[dict[int, list[str]]] = []
    for names in reversed(layers):
        kept: dict[int, list[str]] = {}
        for path, entry in names.items():
            if posixpath.basename(path).startswith(_WHITEOUT) or hidden.hides(path):
                continue
            target = names.get(entry.link) if entry.link is not None else None
            while target is not None and target.link is not None:
                target = names.get(target.link)
            kept.setdefault((target or entry).position, []).append(path)
        for path, entry in names.items():
            hidden.add(path, entry)
        found.append(kept)
    return found[::-1]


def _pass_on(layer: Tar, kept: dict[int, list[str]]) -> Iterator[bytes]:
    for position, (archive, member) in enumerate(_entries(layer)):
        if not (paths := kept.get(position)):
            continue
        first, *links = sorted(paths, key=lambda path: (path != _path(member.name), path))
        content = archive.extractfile(member) if member.isreg() else None
        if member.issparse():
            member.type = tarfile.REGTYPE  # its holes are read as zeros
        yield _header(member, first)
        if content is not None:
            while piece := content.read(_PIECE):
                yield piece
            yield bytes(-member.size % tarfile.BLOCKSIZE)
        for link in links:
            member.type, member.linkname, member.size = tarfile.LNKTYPE, first, 0
            yield _header(member, link)


def _header(member: tarfile.TarInfo, path: str) -> bytes:
    member.name = path or "./"
    # What the name, the link and the size were is no longer so.
    own = {key: value for key, value in member.pax_headers.items() if key not in _PLACE and "GNU.sparse" not in key}
    member.pax_headers = own
    return member.tobuf(tarfile.PAX_FORMAT, tarfile.ENCODING, "surrogateescape")


class _Reader:
    """Pieces as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, amount: int) -> bytes:
        while not self._held and (piece := next(self._pieces, None)) is not None:
            self._held = piece
        taken, self._held = self._held[:amount], self._held[amount:]
        return taken
