"""The final file system of an image: all of its layers applied."""

from __future__ import annotations

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order
from regscope.analysis.documented import documented
from regscope.analysis.image_choice import choose_one
from regscope.analysis.layer_entries import KINDS, LayerEntries
from regscope.analysis.layer_stacks import layer_stacks
from regscope.schema import TIME, Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

_OF_INODE = ("kind", "size", "mode", "uid", "gid", "mtime", "link_target", "device", "xattrs", "sha256")
_OF_HEADER = ("mode", "uid", "gid", "mtime")
_IMPLIED_MODE = 0o755
FINAL_FILES = (
    Column("path", "str", "path from the root, without a leading slash"),
    Column(
        "kind",
        "category",
        "kind of the entry; a hardlink has the kind of its target, or `hardlink` if the target is missing",
    ),
    Column("size", "int64", "size of the content; for other kinds than files, the size in the tar header", "bytes"),
    Column("mode", "int64", "permission bits, with setuid, setgid and sticky"),
    Column("uid", "int64", "user id of the owner"),
    Column("gid", "int64", "group id of the owner"),
    Column("mtime", TIME, "modification time; absent if unknown"),
    Column("link_target", "str", "target of the link, as in the table `files`"),
    Column("device", "str", "major:minor of a device"),
    Column("xattrs", "str", "extended attributes, as in the table `files`"),
    Column("sha256", "str", "SHA-256 of a regular file's content, 64 hex digits; absent if it was not hashed"),
    Column("layer", "int64", "position of the layer that added the path"),
    Column("layer_digest", "str", "digest of the layer that added the path"),
    Column("inode", "int64", "number of the file; all names of one file have the same: count its bytes once"),
)


@takes_snapshot
@documented(columns=FINAL_FILES)
def final_files(snap: Snapshot, image: str, *, platform: str | None = None) -> pd.DataFrame:
    """Every path of an image when all its layers are applied (OCI image-spec, layer.md, Applying Changesets).

    The result is the tree that containerd unpacks, with the same treatment of whiteouts and of symlinks among the
    parents of an entry: the rules are in `regscope.layers.overlay`.

    Args:
        image: `repository:tag`, `repository@digest` or a digest.
        platform: the platform to take of an index, such as `linux/arm64`.

    Returns:
        One row for each path, sorted by path; the root has a row only if a layer has an entry for it:

        {columns}

        Each name of a file has a row with all properties of the file; mode, owner and time of a file with several names
        are those of its last hardlink. A directory without an entry of its own, which exists because an entry is below
        it, has owner and group 0, mode 0o755 and no time.

    Raises:
        InvalidInput: `image` names no image, or several; or some of its layers were not read (see `scan_files`).
        InvalidPlatform: `platform` is not a platform.
    """
    layers = layer_stacks(snap, [choose_one(snap, image, platform)])
    digests = layers["blob_digest"].tolist()
    entries = LayerEntries(snap, list(dict.fromkeys(digests)), _OF_INODE)
    image_entries = entries.stacked(digests)
    stack, rows, layer = image_entries.stack, image_entries.rows, image_entries.layer
    names = np.flatnonzero(stack.visible)
    inode = stack.inode[names]
    nodes, first = stack.implied
    paths = image_entries.paths[np.concatenate([stack.node[names], nodes])]
    brought = layers.iloc[layer[np.concatenate([names, first])]]
    implied = pd.DataFrame(
        {"kind": "directory", "size": 0, "mode": _IMPLIED_MODE, "uid": 0, "gid": 0}, range(len(nodes))
    )
    own = entries.frame.take(rows[inode]).reset_index(drop=True)
    header = rows[stack.header[names]]
    own[list(_OF_HEADER)] = entries.frame[list(_OF_HEADER)].take(header).reset_index(drop=True)
    table = pd.concat([own, implied.reindex(columns=list(_OF_INODE)).astype(own.dtypes)], ignore_index=True)
    table["path"] = pd.Series(image_entries.tree.names.take(paths).to_pandas(), dtype="str")
    table["layer"] = brought["position"].to_numpy()
    table["layer_digest"] = brought["blob_digest"].array
    table["inode"] = np.concatenate([inode, len(rows) + np.arange(len(nodes))])
    kinds = pd.CategoricalDtype(pd.Index(KINDS, dtype="str"))
    return in_order(recast(FINAL_FILES, table.astype({"kind": kinds})), {"path": "ascending"})
