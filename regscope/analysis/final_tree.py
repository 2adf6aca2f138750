"""The file system that an image has in the end."""

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
    Column("path", "str", "from the root, with no slash before it"),
    Column(
        "kind",
        "category",
        "of a hardlink that of the file it is a name of; `hardlink` is one whose target is missing",
    ),
    Column("size", "int64", "of the content; of what is no file, what the tar says", "bytes"),
    Column("mode", "int64", "permission bits, with setuid, setgid and sticky"),
    Column("uid", "int64", "owner"),
    Column("gid", "int64", "group"),
    Column("mtime", TIME, "modification time; absent where there is none"),
    Column("link_target", "str", "as in the table `files`"),
    Column("device", "str", "of a device: major:minor"),
    Column("xattrs", "str", "as in the table `files`"),
    Column("sha256", "str", "of a regular file's content, 64 digits; absent where it was not hashed"),
    Column("layer", "int64", "position of the layer that brought the path"),
    Column("layer_digest", "str", "digest of that layer"),
    Column("inode", "int64", "the same for all names of one file; count its bytes once"),
)


@takes_snapshot
@documented(columns=FINAL_FILES)
def final_files(snap: Snapshot, image: str, *, platform: str | None = None) -> pd.DataFrame:
    """Every path of an image when all its layers are applied (OCI image-spec, layer.md, Applying Changesets).

    What decides is what containerd unpacks, whiteouts and symlinks on the way to an entry included: the rules are in
    `regscope.layers.overlay`.

    Args:
        image: `repository:tag`, `repository@digest` or a digest.
        platform: which one of an index, such as `linux/arm64`.

    Returns:
        One row for each path, by path; the root only where a layer has it:

        {columns}

        What is said of a file holds for each of its names; mode, owner and time of one with several names are those of
        the last hardlink to it. A directory that no layer has an entry for, and that is there because something is in
        it, is root's, with mode 0o755 and no time.

    Raises:
        InvalidInput: it names no image, or several; or some of its layers were not read (see `scan_files`).
        InvalidPlatform: `platform` is none.
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
