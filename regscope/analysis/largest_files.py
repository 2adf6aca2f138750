"""The largest files within layers, and the bytes by type of file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regscope.analysis.columns import as_arrow, numbered_parts, strings
from regscope.analysis.documented import documented
from regscope.analysis.file_contents import is_standing
from regscope.analysis.sizes import layer_sizes
from regscope.arrays import Ints, distinct_pairs, joined, scattered, sums
from regscope.file_rows import FileRows
from regscope.schema import Column, recast
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot

OF_LAYER = (
    Column("layer_digest", "str", "digest of the layer"),
    Column("created_by", "str", "build instruction that made the layer; absent if unknown"),
    Column("images", "int64", "number of image manifests with the layer"),
    Column("repositories", "int64", "number of repositories with such an image"),
)


def with_layers(snap: Snapshot, files: pd.DataFrame) -> pd.DataFrame:
    """`files` with columns about their layers: `created_by` (str), and the numbers of `images` and `repositories`."""
    layers = files["layer_digest"].astype("str")
    about = layer_sizes(snap).set_index("blob_digest").reindex(layers)
    return files.assign(
        layer_digest=layers,
        created_by=about["created_by"].astype("str").array,
        images=about["images"].fillna(0).to_numpy(dtype=np.int64),
        repositories=about["repositories"].fillna(0).to_numpy(dtype=np.int64),
    )


LARGEST_FILES = (
    Column("path", "str", "path from the root, without a leading slash"),
    Column("size", "int64", "size of the content", "bytes"),
    Column("sha256", "str", "SHA-256 of the content, 64 hex digits; absent if the file was not hashed"),
    Column("magic", "str", "file type by the first bytes; absent if unknown"),
    *OF_LAYER,
)


@takes_snapshot
@documented(columns=LARGEST_FILES)
def largest_files(snap: Snapshot, n: int = 100) -> pd.DataFrame:
    """The `n` largest files of all distinct layers, without files that a later entry of the same tar replaces.

    Returns:
        One row for each file, largest first, then by layer and path:

        {columns}
    """
    columns = ["path", "size", "sha256", "magic", "layer_digest"]
    found = []
    for frame in FileRows(snap.files, [*columns, "kind", "whiteout"]).frames():
        files = frame.loc[(frame["kind"] == "file").to_numpy() & is_standing(frame), columns]
        largest = files.nlargest(n, "size", keep="all")
        found.append(largest.astype({"layer_digest": "str", "magic": "str"}))
    order = ["size", "layer_digest", "path"]
    files = pd.concat(found).sort_values(order, ascending=[False, True, True], ignore_index=True).head(n)
    return recast(LARGEST_FILES, with_layers(snap, files))


FILE_TYPES = (
    Column("by", "category", "what `type` is: extension or magic"),
    Column("type", "str", "in lower case, such as `so` for `lib/libc.so.6`; absent for files without a type"),
    Column("files", "int64", "number of files"),
    Column("bytes", "int64", "size of their content", "bytes"),
    Column("distinct_bytes", "int64", "size of their content, equal content counted once", "bytes"),
)


@takes_snapshot
@documented(columns=FILE_TYPES)
def file_types(snap: Snapshot) -> pd.DataFrame:
    """Numbers and bytes of files by extension, and by the type that their first bytes show (magic).

    Every regular file of the distinct layers counts twice: once by its extension and once by its magic.

    Returns:
        One row for each type, extensions before magic, in descending order of `bytes`:

        {columns}
    """
    columns = ["layer_digest", "path", "kind", "size", "sha256", "magic", "whiteout"]
    parts: dict[str, list[pa.DictionaryArray]] = {"extension": [], "magic": [], "content": []}
    sizes = []
    for frame in FileRows(snap.files, columns).frames():
        files = frame[(frame["kind"] == "file").to_numpy() & is_standing(frame)]
        parts["extension"].append(_extensions(as_arrow(files["path"])).dictionary_encode())
        parts["magic"].append(as_arrow(pd.Series(strings(files["magic"]))).dictionary_encode())
        parts["content"].append(as_arrow(files["sha256"]).dictionary_encode())
        sizes.append(files["size"].to_numpy())
    content, contents = numbered_parts(parts.pop("content"))
    size = joined(sizes)
    of_content = scattered(size, content, len(contents) + 1, absent=0)
    tables = [_by_type(by, *numbered_parts(column), content, size, of_content) for by, column in parts.items()]
    table = pd.concat(tables)
    table["by"] = pd.Categorical(table["by"], categories=list(parts))
    table = recast(FILE_TYPES, table)
    return table.sort_values(["by", "bytes", "type"], ascending=[True, False, True], ignore_index=True)


def _extensions(paths: pa.Array) -> pa.Array:
    paths = pc.replace_substring_regex(paths, r"\.so(\.\d+)+$", ".so")
    found = pc.extract_regex(paths, r"[^/]\.(?P<extension>[A-Za-z0-9_+-]{1,16})$")
    return pc.utf8_lower(pc.struct_field(found, "extension"))


def _by_type(by: str, number: Ints, types: pa.Array, content: Ints, size: Ints, of_content: Ints) -> pd.DataFrame:
    number = np.where(number < 0, len(types), number)  # the last number is that of files without a type
    n_types = len(types) + 1
    known = content >= 0
    type_of_content, distinct = distinct_pairs(number[known], content[known], len(of_content))
    table = pd.DataFrame(
        {
            "by": by,
            "type": pd.array([*types.to_pylist(), None], dtype="str"),
            "files": np.bincount(number, minlength=n_types),
            "bytes": sums(number, size, n_types),
            "distinct_bytes": sums(type_of_content, of_content[distinct], n_types),
        }
    )
    return table[table["files"] > 0]
