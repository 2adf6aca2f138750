"""Where entries of layers are unpacked to: symlinks in their paths are followed, of their own and of lower layers.

As in containerd's `archive.Apply`, the directory of an entry is resolved by `fs.RootPath` (continuity), its last part
is not. Few layers have such entries, so this is plain Python. The rules by which entries replace and delete one another
are in `regscope.layers.overlay`; here they are applied to symlinks only.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_MOST_LINKS = 255  # symlinks that `fs.RootPath` follows at most
_MOST_HOPS = 40  # symlinks that Linux follows at most in one path


class Step(NamedTuple):
    """The fields of an entry, or of a whiteout, that matter for symlinks.

    Attributes:
        path: as in the tar; of a whiteout, the path that it hides.
        link: of a symlink its text, of a hardlink the path of its target.
    """

    layer: int
    path: str
    is_directory: bool = False
    is_symlink: bool = False
    deletes: bool = False
    clears: bool = False
    ignored: bool = False
    link: str | None = None


class Landing(NamedTuple):
    """Where an entry is unpacked to.

    Attributes:
        path: with all symlinks in its directory followed.
        target: of a hardlink, the path of its target with symlinks followed.
        through: the positions of the symlinks that were followed.
    """

    path: str
    target: str | None
    through: tuple[int, ...]


def landings(steps: Sequence[Step]) -> Iterator[Landing]:
    """Where each of `steps` is unpacked to, in the order in which they are applied.

    Where a path leads through too many symlinks, which containerd refuses, they are not followed.
    """
    links = _Links()
    unpacked: set[str] = set()
    layer = -1
    for position, step in enumerate(steps):
        if step.layer != layer:
            layer, unpacked = step.layer, set()
        if step.clears:
            path, through = links.directory(step.path)
            links.clear(path, unpacked)
            yield Landing(path, None, through)
            continue
        path, through = links.entry(step.path)
        target = says = None
        if step.deletes:
            links.remove(path)
        elif not step.ignored:
            unpacked.add(path)
            links.remove(path, only_link=step.is_directory)
            says = step.link if step.is_symlink else None
        if step.link is not None and not step.is_symlink:
            target, more = links.entry(step.link)
            through += more
            says = linked.says if (linked := links.at(target)) is not None else None  # a hardlink to a symlink
        if says is not None:
            links.put(path, says, position)
        yield Landing(path, target, through)


@dataclass(slots=True)
class _Node:
    """A symlink, or a directory on the way to one."""

    says: str | None = None
    position: int = -1
    below: dict[str, _Node] = field(default_factory=dict)


class _Links:
    """The symlinks of the file system so far, as a tree."""

    def __init__(self) -> None:
        self._root = _Node()
        self._known: dict[str, tuple[str, tuple[int, ...]]] = {}  # resolved directories, cached
        self._looked_at: set[str] = set()  # the symlinks that were followed to each

    def at(self, path: str) -> _Node | None:
        """The symlink at a path whose directories are no symlinks."""
        node = self._node(path)
        return node if node is not None and node.says is not None else None

    def entry(self, path: str) -> tuple[str, tuple[int, ...]]:
        """Where an entry of this path is unpacked to, and the symlinks that were followed."""
        above, slash, name = path.rpartition("/")
        if not slash:
            return path, ()
        folder, through = self.directory(above)
        return f"{folder}/{name}".lstrip("/"), through

    def directory(self, path: str) -> tuple[str, tuple[int, ...]]:
        """Where a directory of this path is, and the symlinks that were followed."""
        if (known := self._known.get(path)) is None:
            known = self._known[path] = _RootPath(self).resolved(path) or (path, ())
        return known

    def put(self, path: str, says: str, position: int) -> None:
        """Add a symlink."""
        node = self._root
        for name in path.split("/"):
            node = node.below.setdefault(name, _Node())
        node.says, node.position = says, position
        if path in self._looked_at:
            self._forget()

    def remove(self, path: str, only_link: bool = False) -> None:
        """Remove what is at a path, and all below it."""
        node = self._node(path)
        if node is None or not path or (only_link and node.says is None):
            return
        above, _, name = path.rpartition("/")
        folder = self._node(above)
        assert folder is not None
        del folder.below[name]
        self._forget()

    def clear(self, path: str, spared: set[str]) -> None:
        """Remove what is below a directory, except what is spared; nothing is spared below what is removed."""
        waiting = [(path, node)] if (node := self._node(path)) is not None else []
        while waiting:
            above, node = waiting.pop()
            for name in list(node.below):
                below = f"{above}/{name}".lstrip("/")
                if below in spared:
                    waiting.append((below, node.below[name]))
                else:
                    del node.below[name]
                    self._forget()

    def look(self, path: str) -> _Node | None:
        """The symlink at a path as `lstat` finds it; relative symlinks in the path are followed, absolute ones not."""
        todo = path.strip("/").split("/")[::-1]
        here: list[str] = []
        hops = 0
        while todo:
            name = todo.pop()
            if name in ("", "."):
                continue
            if name == "..":
                here = here[:-1]
                continue
            place = "/".join([*here, name])
            self._looked_at.add(place)
            if (link := self.at(place)) is None:
                here.append(name)
                continue
            assert link.says is not None
            if not todo:
                return link
            hops += 1
            if link.says.startswith("/") or hops > _MOST_HOPS:
                return None
            todo += link.says.split("/")[::-1]
        return None

    def _node(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for name in path.split("/") if path else ():
            node = node.below.get(name) if node is not None else None
        return node

    def _forget(self) -> None:
        self._known.clear()
        self._looked_at.clear()


class _RootPath:
    """continuity's `fs.RootPath`, step by step; the root is `/`."""

    def __init__(self, links: _Links) -> None:
        self._links = links
        self._through: list[int] = []

    def resolved(self, path: str) -> tuple[str, tuple[int, ...]] | None:
        """The path without a leading slash, and the symlinks that were followed; None where there are too many."""
        while len(self._through) <= _MOST_LINKS:
            walked = len(self._through)
            path = self._walked(path)
            if walked == len(self._through):
                rooted = _clean("/" + path)
                if rooted == path:
                    return path.lstrip("/"), tuple(dict.fromkeys(self._through))
                path = rooted
        return None

    def _walked(self, path: str) -> str:
        """The path with a symlink followed at each of its parts, where there is one."""
        found = "/" if path.startswith("/") else ""
        for part in filter(None, path.split("/")):
            place = _clean(f"/{found}/{part}")
            link = self._links.look(place)
            if link is None or len(self._through) > _MOST_LINKS:
                found = place
                continue
            assert link.says is not None
            self._through.append(link.position)
            found = link.says if not found or link.says.startswith("/") else _clean(f"{found}/{link.says}")
        return found or "/"


def _clean(path: str) -> str:
    """Go's `filepath.Clean`."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned
