"""The differences between two file systems, by path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from regscope.analysis.columns import in_order
from regscope.analysis.documented import documented
from regscope.analysis.unhashed import told_apart
from regscope.arrays import Bools
from regscope.schema import Column, recast

CHANGES = pd.CategoricalDtype(pd.Index(["added", "removed", "content", "attributes"], dtype="str"))
KINDS = pd.CategoricalDtype(
    pd.Index(["file", "directory", "symlink", "hardlink", "character device", "block device", "fifo"], dtype="str")
)
CONTENT = {"kind": "kind", "size": "size", "sha256": "content", "link_target": "link", "device": "device"}
ATTRIBUTES = {"mode": "mode", "uid": "uid", "gid": "gid", "mtime": "mtime", "xattrs": "xattrs"}
COMPARED = (*CONTENT, *ATTRIBUTES)


FILE_CHANGES = (
    Column("path", "str", "path from the root, without a leading slash"),
    Column("kind", "category", "kind after the change; for a removed path, the kind before"),
    Column("change", "category", "added, removed, content or attributes"),
    Column("size_before", "Int64", "size before; absent for an added path", "bytes"),
    Column("size_after", "Int64", "size after; absent for a removed path", "bytes"),
    Column("growth", "int64", "size after minus size before; a file with several names counts at each name", "bytes"),
    Column("differs", "str", "the properties that differ, such as `content, mode`; empty if added or removed"),
)


@documented(columns=FILE_CHANGES)
def file_changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Paths that were added or removed, or whose content or attributes differ.

    Args:
        before: the files of the image before, each path once, with the columns of `files` to compare: kind, size,
            sha256, link_target and device as content; mode, uid, gid, mtime and xattrs as attributes; and
            `layer_digest`, for files that were not hashed.
        after: the files of the image after, with the same columns.

    Returns:
        One row for each path that differs, in descending order of the larger of both sizes:

        {columns}
    """
    merged = _comparable(before).merge(
        _comparable(after), on="path", how="outer", suffixes=("_before", "_after"), indicator=True
    )
    both = (merged["_merge"] == "both").to_numpy()
    unequal = {column: both & ~_equal(merged[f"{column}_before"], merged[f"{column}_after"]) for column in COMPARED}
    content = np.logical_or.reduce([unequal[column] for column in CONTENT])
    attributes = np.logical_or.reduce([unequal[column] for column in ATTRIBUTES])
    change = np.select(
        [(merged["_merge"] == "right_only").to_numpy(), (merged["_merge"] == "left_only").to_numpy(), content],
        ["added", "removed", "content"],
        "attributes",
    )
    differs = pd.Series("", index=merged.index, dtype="str")
    for column, word in (CONTENT | ATTRIBUTES).items():
        differs += pd.Series(np.where(unequal[column], f", {word}", ""), dtype="str")
    sizes = {side: merged[f"size_{side}"] for side in ("before", "after")}
    table = pd.DataFrame(
        {
            "path": merged["path"],
            "kind": merged["kind_after"].fillna(merged["kind_before"]).astype(KINDS),
            "change": pd.Categorical(change, dtype=CHANGES),
            "size_before": sizes["before"],
            "size_after": sizes["after"],
            "growth": (sizes["after"].fillna(0) - sizes["before"].fillna(0)).astype("int64"),
            "differs": differs.str.removeprefix(", "),
            "largest": pd.concat(sizes, axis="columns").max(axis="columns").astype("Int64"),
        }
    )[~both | content | attributes]
    return recast(FILE_CHANGES, in_order(table, {"largest": "descending", "path": "ascending"}))


def _comparable(files: pd.DataFrame) -> pd.DataFrame:
    """`files` with categories as text, since two tables may have different ones, and with nullable integers."""
    table = told_apart(files)[["path", *COMPARED]]
    texts = {column: table[column].astype("str") for column in ("kind", "device")}
    numbers = {column: table[column].astype("Int64") for column in ("size", "mode", "uid", "gid")}
    return table.assign(**texts, **numbers)


def _equal(before: pd.Series[Any], after: pd.Series[Any]) -> Bools:
    """Whether the cells of each row are equal; absent equals absent."""
    same = (before == after).fillna(False) | (before.isna() & after.isna())
    return same.to_numpy(dtype=np.bool_)
