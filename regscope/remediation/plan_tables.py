"""The tables of a plan, once: columns, dtypes, meanings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from regscope.schema import TIME, Column

_REPOSITORY = Column("repository", "str", "whole name of the repository")
_DIGEST = Column("digest", "str", "digest of the manifest")
_KIND = Column("kind", "category", "image, index, artifact or schema1")

TABLE = (
    _REPOSITORY,
    Column("tag", "str", "the tag; absent for a manifest without one"),
    _DIGEST,
    _KIND,
    Column("action", "category", "delete: tag and manifest go; untag: the tag goes, and the manifest stays; keep"),
    Column("rule", "str", "the rule by which it goes, or was to go"),
    Column("reason", "str", "why it, or its manifest, stays"),
    Column("created", TIME, "when it was built; absent if unknown"),
    Column("age_from", TIME, "when the policy takes it to be from; absent if unknown"),
    Column(
        "age_by",
        "category",
        "what that is: pushed, created, label or annotation (org.opencontainers.image.created), first seen (by an "
        "earlier snapshot: it is at least that old), unknown",
    ),
    Column("size", "Int64", "the image by itself, as stored; absent for what is no image", "bytes"),
    Column("frees", "int64", "what comes back by it: each blob with the last manifest that needs it", "bytes"),
)
"""One row for each tag, and for each manifest without one."""

STEPS = (
    _REPOSITORY,
    Column("action", "category", "untag or delete"),
    Column("tag", "str", "the tag to remove; absent where a manifest is deleted, with all tags on it"),
    _DIGEST,
    _KIND,
    Column("frees", "int64", "what garbage collection takes once this and all before it are done", "bytes"),
)
"""One row for each change, in their order."""

TAGS = (
    _REPOSITORY,
    Column("tag", "str", "the tag"),
    _DIGEST,
    Column("goes", "bool", "whether it is to go"),
)
"""Every tag of the repositories in which something changes: what the plan took to be so."""

BLOBS = (
    Column("digest", "str", "digest of the blob"),
    Column("kind", "category", "layer, config or manifest"),
    Column("size", "int64", "as stored", "bytes"),
    Column("needed_by", "int64", "how many of the manifests that are deleted need it: all of them must go"),
)
"""The blobs that come back, largest first."""

SHARED = (
    Column("digest", "str", "digest of the blob"),
    Column("size", "int64", "as stored", "bytes"),
    Column("repository", "str", "a repository in which it is needed"),
    Column("needed_by", "str", "digest of a manifest there that stays and needs it"),
)
"""The layers and configs of what is deleted that stay, since something that stays needs them; largest first."""


LACKING = (
    _REPOSITORY,
    Column("digest", "str", "digest of a manifest or blob that the registry lacked, or had damaged, at the scan"),
    Column("what", "category", "missing manifest, missing blob or damaged"),
    Column("error", "str", "what names it"),
    Column("stays", "bool", "whether something that stays needs it; else only what goes does"),
)
"""What was lost already when it was planned, as far as the snapshot says: see `regscope.scan(check=True)`."""


def settled(columns: Sequence[Column], table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the dtypes that `columns` say, and categories in the order of their names, whatever made it."""
    there = [column for column in columns if column.name in table]
    others = {column.name: column.dtype for column in there if table[column.name].dtype != column.dtype}
    table = (table.astype(others) if others else table).reset_index(drop=True)
    for column in there:
        if column.dtype == "category":
            cells = table[column.name].cat
            names = pd.Index(cells.categories, dtype="str")
            if cells.categories.dtype != names.dtype or not names.is_monotonic_increasing:
                table[column.name] = cells.rename_categories(names).cat.reorder_categories(names.sort_values())
    return table
