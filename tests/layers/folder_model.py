"""What layers come to, by really writing them into a folder, one entry after another; and what is lost on the way.

As containerd does: symlinks on the way to an entry are followed, and whiteouts take effect where they stand.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hypothesis import assume
from hypothesis import strategies as st

from tests.lab.corners import FOLDER, LINK, SYMLINK, entry, tar

FILE, DELETE, OPAQUE = tarfile.REGTYPE, b"delete", b"opaque"
NAMES = ["a", "b", "a-b", "a/a", "a/b", "a/a/b", "b/a", "b/a/a", "b/a/b", "a-b/a"]
CONTENTS = [b"", b"1", b"22", b"333"]


class Entry(NamedTuple):
    """One entry of a layer; of a link, `content` is what it leads to."""

    path: str
    kind: bytes
    content: bytes = b""


Layer = list[Entry]


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from([FILE, FILE, FILE, FOLDER, LINK, SYMLINK, DELETE, DELETE, OPAQUE]))
    content = draw(st.sampled_from(CONTENTS)) if kind == FILE else b""
    if kind in (LINK, SYMLINK):
        content = draw(st.sampled_from(NAMES)).encode()
    return Entry(draw(st.sampled_from(NAMES)), kind, content)


layers = st.lists(st.lists(entries(), max_size=8), min_size=1, max_size=5)


def tar_of(layer: Layer) -> bytes:
    return tar(*(_member(*each) for each in layer))


def _member(path: str, kind: bytes, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if kind == FILE:
        return entry(path, content=content)
    if kind == DELETE:
        folder, slash, name = path.rpartition("/")
        return entry(f"{folder}{slash}.wh.{name}", content=b"")
    if kind == OPAQUE:
        return entry(f"{path}/.wh..wh..opq", content=b"")
    return entry(path, kind, linkname=content.decode())


class Lost(NamedTuple):
    """A file that is in a layer and not in the end."""

    path: str
    bytes: int
    cause: str
    brought_layer: int
    caused_layer: int


class Name(NamedTuple):
    """A path of a file: the number of the entry that it is of, and that of the file's own."""

    entry: int
    file: int


@dataclass
class Folder:
    """A folder that layers are applied to. Each entry has a number, and a file's own is kept as its mtime."""

    folder: Path
    brought: dict[int, tuple[int, Entry]] = field(default_factory=dict)
    names: dict[str, Name] = field(default_factory=dict)  # of the files that are there, by path
    gone: dict[int, tuple[str, int, int, bool]] = field(default_factory=dict)  # file: its last name, and by what
    folders: set[str] = field(default_factory=set)  # once all is written
    contents: dict[int, bytes | None] = field(default_factory=dict)  # by entry, what it put at its path
    landed: dict[int, str] = field(default_factory=dict)  # by entry, where it was put
    _dangling: set[str] = field(default_factory=set)  # where hardlinks to nothing were ever put
    _unpacked: set[str] = field(default_factory=set)  # of this layer, where its entries were put

    def apply(self, layers: Sequence[Layer]) -> None:
        for position, layer in enumerate(layers):
            numbered = [(len(self.brought) + number, each) for number, each in enumerate(layer)]
            self.brought |= {number: (position, each) for number, each in numbered}
            self._unpacked = set()
            for number, each in numbered:
                before = self.names.copy()
                self._put(number, each)
                self.names = {path: name for path, name in self.names.items() if self._is_there(path, name)}
                self._notice(before, number)

    def everything(self) -> dict[str, bytes | None]:
        """Each path that is there; of a file, what it holds."""
        found: dict[str, bytes | None] = {}
        for path in self.folder.rglob("*"):
            is_file = path.is_file() and not path.is_symlink()
            found[str(path.relative_to(self.folder))] = path.read_bytes() if is_file else None
            if path.is_dir() and not path.is_symlink():
                self.folders.add(str(path.relative_to(self.folder)))
        return found

    def _put(self, number: int, each: Entry) -> None:
        landed = self.landed[number] = self._landed(each)
        path = self.folder / landed
        if each.kind in (DELETE, OPAQUE) and self._is_below_file(path / "x" if each.kind == OPAQUE else path):
            return
        for above in reversed(path.relative_to(self.folder).parents[:-1]):
            _make_folder(self.folder / above)
        if each.kind == DELETE:
            _remove(path)
            return
        if each.kind == OPAQUE:
            _make_folder(path)
            self._clear(path)
            return
        self._unpacked.add(landed)
        if each.kind == FOLDER:
            _make_folder(path)
            return
        _remove(path)
        if each.kind == FILE:
            path.write_bytes(each.content)
            os.utime(path, ns=(number, number))
            self.names[landed] = Name(number, number)
        elif each.kind == SYMLINK:
            path.symlink_to(each.content.decode())
        elif (there := self.names.get(target := self._followed(each.content.decode()))) and self._is_there(
            target, there
        ):
            os.link(self.folder / target, path)
            self.names[landed] = Name(number, there.file)
        elif self._is_symlink(target):
            os.link(self.folder / target, path, follow_symlinks=False)
        else:
            self._dangling.add(landed)
        file = self.names.get(landed)
        is_file = file is not None and self._is_there(landed, file)
        self.contents[number] = path.read_bytes() if is_file else None

    def _landed(self, each: Entry) -> str:
        """Where an entry is put; what an opaque mark is about is itself followed."""
        return (
            self._followed(f"{each.path}/any").removesuffix("/any")
            if each.kind == OPAQUE
            else self._followed(each.path)
        )

    def _followed(self, name: str) -> str:
        """A path with the symlinks on the way to its last part followed; as it is, where there are too many."""
        *todo, last = name.split("/")
        here, hops = Path(), 0
        while todo:
            here /= todo.pop(0)
            if (self.folder / here).is_symlink():
                hops += 1
                if hops > 255:
                    return name
                here, todo = here.parent, [*str((self.folder / here).readlink()).split("/"), *todo]
        return str(here / last)

    def _clear(self, folder: Path) -> None:
        for path in folder.iterdir():
            if str(path.relative_to(self.folder)) not in self._unpacked:
                _remove(path)
            elif self._is_folder(path):
                self._clear(path)

    def _is_folder(self, path: Path) -> bool:
        """Whether it is one, with no link on the way."""
        parts = [path, *path.parents]
        return all(each.is_dir() and not each.is_symlink() for each in parts[: parts.index(self.folder)])

    def _is_below_file(self, path: Path) -> bool:
        """Whether something above it is there and is no folder."""
        above = path.relative_to(self.folder).parents[:-1]
        assume(self._dangling.isdisjoint(map(str, above)))  # what a mark below a link to nothing means is not asked
        return any(os.path.lexists(self.folder / each) and not self._is_folder(self.folder / each) for each in above)

    def _is_symlink(self, name: str) -> bool:
        path = self.folder / name
        return self._is_folder(path.parent) and path.is_symlink()

    def _is_there(self, name: str, what: Name) -> bool:
        path = self.folder / name
        if not self._is_folder(path.parent) or path.is_symlink() or not path.is_file():
            return False
        return path.stat().st_mtime_ns == what.file

    def _notice(self, before: dict[str, Name], number: int) -> None:
        """Keep which names of files went: the last one of each file, and of those that went at once the newest."""
        went = [(name.entry, path, name.file) for path, name in before.items() if self.names.get(path) != name]
        for own, path, file in sorted(went):
            place = self.folder / path
            self.gone[file] = (path, own, number, self._is_folder(place.parent) and os.path.lexists(place))

    def lost(self) -> Iterator[Lost]:
        """The files that are not there, but for empty ones."""
        there = {name.file for name in self.names.values()}
        for number, (position, each) in self.brought.items():
            if each.kind != FILE or not each.content or number in there:
                continue
            path, own, by, is_taken = self.gone[number]
            caused = self.brought[by][0]
            anew = [
                later for later, (at, other) in self.brought.items()
                if at == caused and later > own and self.landed[later] == path and other.kind not in (DELETE, OPAQUE)
            ]  # fmt: skip
            taking = anew[0] if anew else by
            is_same = self.landed[taking] == path and self.contents.get(taking) == each.content
            elsewhere = [
                other for other, name in self.names.items()
                if other != path and self.contents[name.entry] == each.content
            ]  # fmt: skip
            otherwise = "overwritten" if anew or is_taken else "deleted"
            cause = "attributes only" if is_same else "same content elsewhere" if elsewhere else otherwise
            yield Lost(self.landed[number], len(each.content), cause, position, caused)


def _make_folder(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        _remove(path)
        path.mkdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
