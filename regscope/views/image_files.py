"""All files in the layers of one image, as a tree: those of the final file system, and wasted files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from regscope.analysis.columns import as_arrow
from regscope.analysis.final_tree import final_files
from regscope.analysis.waste import wasted_files
from regscope.arrays import Ints, looked_up, marked, numbered_among
from regscope.layers.path_tree import PathTree
from regscope.tables import Snapshot

SUMS = ("size", "wasted", "files", "wasted_files", "directories")
SIZE, WASTED, FILES, WASTED_FILES, DIRECTORIES = range(len(SUMS))


def image_entries(snap: Snapshot, image: str) -> pd.DataFrame:
    """The entries of an image's layers, by path; each byte of a regular file counts once.

    Returns:
        - `path`, `kind` (str)
        - `size` (int64, bytes): of a regular file; 0 for other entries, and for further names of a file (hardlinks)
        - `layer` (int64): position of the layer that added it
        - `cause` (str): why it is wasted; absent if it is in the final file system
        - `hidden_by` (Int64): position of the layer that hides it
        - `target` (str): the target of a symlink; the first name of a file, for its further names
        - `sha256` (str): of a regular file's content, 64 hexadecimal digits
    """
    final = final_files(snap, image).sort_values(["inode", "layer", "path"])
    is_file = final["kind"] == "file"
    again = is_file & final["inode"].duplicated()
    first = final.groupby("inode")["path"].transform("first")
    there = pd.DataFrame(
        {
            "path": final["path"],
            "kind": final["kind"].astype("str").mask(again, "hardlink"),
            "size": final["size"].where(is_file & ~again, 0),
            "layer": final["layer"],
            "target": final["link_target"].mask(again, first),
            "sha256": final["sha256"],
        }
    )
    lost = wasted_files(snap, image)[["path", "bytes", "brought_layer", "cause", "caused_layer", "sha256"]]
    lost = lost.rename(columns={"bytes": "size", "brought_layer": "layer", "caused_layer": "hidden_by"})
    table = pd.concat([there, lost.assign(kind="file").astype({"cause": "str"})], ignore_index=True)
    text = dict.fromkeys(["path", "kind", "cause", "target", "sha256"], "str")
    table = table.astype({**text, "size": "int64", "layer": "int64", "hidden_by": "Int64"})
    table = table[["path", "kind", "size", "layer", "cause", "hidden_by", "target", "sha256"]]
    return table.sort_values(["path", "cause", "layer"], ignore_index=True)


@dataclass(frozen=True, eq=False)
class FileTree:
    """The directories of an image, with the sums of all that is below each.

    Attributes:
        entries: the rows of `image_entries` without directories.
        folder: the number of each entry's directory.
        paths: the path of each directory; the root's is empty.
        parent: the number of each directory's parent; -1 for the root.
        depth: the depth of each directory; 0 for the root.
        sums: the `SUMS` of each directory: bytes, wasted bytes, and the numbers of files, wasted files and directories
            in it.
    """

    entries: pd.DataFrame
    folder: Ints
    paths: npt.NDArray[np.object_]
    parent: Ints
    depth: Ints
    sums: Ints

    @property
    def root(self) -> int:
        """The number of the root directory."""
        return int(np.flatnonzero(self.parent < 0)[0])

    def by_layer(self, folders: Ints, layers: Ints) -> Ints:
        """The bytes below each of `folders`, by layer, for all `layers` of the entries."""
        place = numbered_among(folders, len(self.parent))
        found = np.zeros((len(folders), len(layers)), dtype=np.int64)
        layer = np.searchsorted(layers, self.entries["layer"].to_numpy())
        size, at = self.entries["size"].to_numpy(), self.folder
        while len(at):
            wanted = place[at] >= 0
            np.add.at(found, (place[at[wanted]], layer[wanted]), size[wanted])
            at = self.parent[at]
            layer, size, at = layer[at >= 0], size[at >= 0], at[at >= 0]
        return found


def tree_of(entries: pd.DataFrame) -> FileTree:
    """The tree of `image_entries`."""
    is_directory = (entries["kind"] == "directory").to_numpy()
    # The root exists even if there are no paths.
    tree = PathTree(as_arrow(pd.concat([entries["path"], pd.Series([""], dtype="str")])))
    node = tree.node[:-1]
    is_folder = marked(node[is_directory], len(tree.parent))
    is_folder[tree.parent[tree.parent >= 0]] = True
    is_folder[tree.node[-1]] = True
    folders = np.flatnonzero(is_folder)
    number = numbered_among(folders, len(tree.parent))
    parent = looked_up(number, tree.parent[folders], absent=-1)
    files = entries[~is_directory].reset_index(drop=True)
    folder = looked_up(number, tree.parent[node[~is_directory]], absent=-1)
    sums, depth = _sums(files, folder, parent)
    paths = np.array(tree.names.take(folders).to_pylist(), dtype=object)
    return FileTree(files, folder, paths, parent, depth, sums)


def _sums(files: pd.DataFrame, folder: Ints, parent: Ints) -> tuple[Ints, Ints]:
    size, is_wasted = files["size"].to_numpy(), files["cause"].notna().to_numpy()
    own = np.zeros((len(files) + len(parent), len(SUMS)), dtype=np.int64)
    own[: len(files)] = np.stack([size, size * is_wasted, ~is_wasted, is_wasted, np.zeros_like(size)], axis=1)
    own[len(files) :, DIRECTORIES] = 1
    sums, depth = np.zeros((len(parent), len(SUMS)), dtype=np.int64), np.zeros(len(parent), dtype=np.int64)
    rows, at = np.arange(len(own)), np.concatenate([folder, parent])
    while len(rows := rows[at >= 0]):
        at = at[at >= 0]
        np.add.at(sums, at, own[rows])
        depth[rows[rows >= len(files)] - len(files)] += 1
        at = parent[at]
    return sums, depth
