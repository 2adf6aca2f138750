"""The entries of an image's layers that are in its single layer after flattening."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from regscope.arrays import Bools, Ints
from regscope.errors import InvalidInput
from regscope.layers.stacked import Entries, Stacked

COLUMNS = ["path", "kind", "size", "mode", "uid", "gid", "mtime", "link_target", "whiteout"]
"""The columns of `entry_rows` that are needed."""


NO_TIME = -(2**63)


class Header(NamedTuple):
    """Owner, mode and time of a file; the time in microseconds since 1970, or `NO_TIME`."""

    mode: int
    uid: int
    gid: int
    mtime: int


class StayingEntries:
    """The entries of layers that stay, and their paths. Entries are numbered through all layers.

    Args:
        layers: the rows of each layer's tar, lowest first, with `COLUMNS`.

    Attributes:
        named_by: for each entry whose content stays, the entry whose path it has; mostly itself.
        names: for each further name (hardlink) of a file, the entry with the file's first name.
        bare_folders: paths of empty directories without an entry.

    Raises:
        InvalidInput: containerd refuses to unpack the layers.
    """

    def __init__(self, layers: Sequence[pa.Table]) -> None:
        self._table = pa.concat_tables(layers).unify_dictionaries().combine_chunks()
        entries = Entries(*(self._column(name) for name in ("path", "kind", "whiteout", "link_target")))
        self._refuse(entries.is_nameless, "a whiteout without a name")
        image = entries.stacked(np.arange(len(entries)), np.repeat(np.arange(len(layers)), list(map(len, layers))))
        stack = image.stack
        visible = np.flatnonzero(stack.visible)
        self._refuse(stack.visible & entries.is_hardlink[stack.inode], "a hardlink to nothing")
        files, first = np.unique(stack.inode[visible], return_index=True)
        self.named_by: dict[int, int] = dict(zip(files.tolist(), visible[first].tolist(), strict=True))
        further = np.delete(visible, first)
        named = [self.named_by[file] for file in stack.inode[further].tolist()]
        self.names: dict[int, int] = dict(zip(further.tolist(), named, strict=True))
        self._header = stack.header
        self._path = self._column("path")
        times = self._column("mtime").cast(pa.int64()).fill_null(NO_TIME)
        columns = {**{field: self._column(field) for field in ("size", "mode", "uid", "gid")}, "mtime": times}
        self._numbers = {field: column.to_numpy() for field, column in columns.items()}
        self._landed = image.tree.names.take(pa.array(image.paths[stack.node]))
        self.bare_folders = _bare_folders(image, visible)

    def path(self, entry: int) -> str:
        """The path of an entry in the final file system."""
        return str(self._landed[entry].as_py())

    def read(self, entry: int) -> tuple[str, int]:
        """The path and the size of an entry in its tar."""
        return str(self._path[entry].as_py()), int(self._numbers["size"][entry])

    def header(self, entry: int) -> Header:
        """Owner, mode and time of an entry's file."""
        of = self._header[entry]
        return Header(*(int(self._numbers[field][of]) for field in Header._fields))

    def _column(self, name: str) -> pa.Array:
        column = self._table[name]
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)

    def _refuse(self, entries: Bools, what: str) -> None:
        if len(found := np.flatnonzero(entries)):
            path = self._column("path")[int(found[0])].as_py()
            raise InvalidInput(
                f"a layer has {what} ({path!r}): containerd refuses to unpack it",
                next_step="Rebuild the image.",
            )


def _bare_folders(image: Stacked, visible: Ints) -> list[str]:
    stack = image.stack
    is_filled = np.zeros(len(stack.parent), dtype=np.bool_)
    node = stack.node[visible]
    while len(node):
        node = stack.parent[np.unique(node)]
        node = node[node >= 0]
        is_filled[node] = True
    nodes, _ = stack.implied
    bare = image.paths[nodes[~is_filled[nodes]]]
    return sorted(image.tree.names.take(pa.array(bare)).to_pylist())
