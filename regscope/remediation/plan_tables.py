"""The tables of a plan: columns, dtypes and their meanings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from regscope.schema import TIME, Column, table_of

_REPOSITORY = Column("repository", "str", "full name of the repository")
_DIGEST = Column("digest", "str", "digest of the manifest")
_KIND = Column("kind", "category", "image, index, artifact or schema1")

TABLE = (
    _REPOSITORY,
    Column("tag", "str", "the tag; absent for a manifest without one"),
    _DIGEST,
    _KIND,
    Column("action", "category", "delete: tag and manifest are deleted; untag: the tag is removed; keep"),
    Column("rule", "str", "the rule that matched it"),
    Column("reason", "str", "why the tag, or its manifest, stays"),
    Column("created", TIME, "when it was built; absent if unknown"),
    Column("age_from", TIME, "the time from which the policy computes its age; absent if unknown"),
    Column(
        "age_by",
        "category",
        "source of that time: pushed, created, label or annotation (org.opencontainers.image.created), first seen (in "
        "an earlier snapshot: it is at least that old), unknown",
    ),
    Column("size", "Int64", "config and distinct layers of the image, as stored; absent for other manifests", "bytes"),
    Column("frees", "int64", "bytes freed: each blob is counted with the last manifest that needs it", "bytes"),
)
"""One row for each tag, and for each manifest without one."""

STEPS = (
    _REPOSITORY,
    Column("action", "category", "untag or delete"),
    Column("tag", "str", "the tag to remove; absent where a manifest is deleted, with all tags on it"),
    _DIGEST,
    _KIND,
    Column("frees", "int64", "freed in addition once this step and all before it are done", "bytes"),
)
"""One row for each step, in the order in which they are run."""

TAGS = (
    _REPOSITORY,
    Column("tag", "str", "the tag"),
    _DIGEST,
    Column("goes", "bool", "whether the plan removes it"),
)
"""All tags of the repositories with steps, at the time of the snapshot."""

BLOBS = (
    Column("digest", "str", "digest of the blob"),
    Column("kind", "category", "layer, config or manifest"),
    Column("size", "int64", "as stored", "bytes"),
    Column("needed_by", "int64", "number of manifests to be deleted that need it: all of them must be deleted"),
)
"""The blobs that are freed, largest first."""

SHARED = (
    Column("digest", "str", "digest of the blob"),
    Column("size", "int64", "as stored", "bytes"),
    Column("repository", "str", "a repository in which it is needed"),
    Column("needed_by", "str", "digest of a manifest there that stays and needs it"),
)
"""The layers and configs of deleted manifests that stay, since another manifest needs them; largest first."""


LACKING = (
    _REPOSITORY,
    Column("digest", "str", "digest of a manifest or blob that was missing or damaged at the scan"),
    Column("what", "category", "missing manifest, missing blob or damaged"),
    Column("error", "str", "the error, with the manifest that names it"),
    Column("stays", "bool", "whether a manifest that stays needs it; else only manifests to be deleted do"),
)
"""The content that was missing or damaged at the scan: see `regscope.scan(check=True)`."""
TABLES = {"table": TABLE, "steps": STEPS, "tags": TAGS, "blobs": BLOBS, "shared": SHARED, "lacking": LACKING}
"""The columns of all tables, by the attribute of `Plan`."""

_MAY_BE_ABSENT: dict[str, set[str]] = {
    "table": {"tag", "kind", "rule", "reason", "created", "age_from", "size"},
    "steps": {"tag", "kind"},
}

_LARGEST = 2**63


def as_rows(table: pd.DataFrame) -> list[list[Any]]:
    """The rows as JSON values: times as text, null where a value is absent."""
    plain = table.astype(object)
    for name in table.select_dtypes("datetimetz"):
        plain[name] = table[name].map(lambda time: time.isoformat(), na_action="ignore").astype(object)
    return plain.where(plain.notna(), None).to_numpy().tolist()


def from_rows(name: str, rows: Any) -> pd.DataFrame:
    """The table `name` from the rows of `as_rows`; every cell is checked.

    Raises:
        ValueError: a row has another number of columns, a cell another type, or a number is negative or beyond 64 bits.
    """
    columns = TABLES[name]
    if not isinstance(rows, list):
        raise ValueError(f"{name} must be a list of rows")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise ValueError(f"row {number} of {name} must have {len(columns)} columns")
    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    absent = _MAY_BE_ABSENT.get(name, ())
    read = [
        _cells(f"{name}.{column.name}", column, values, column.name in absent)
        for column, values in zip(columns, cells, strict=True)
    ]
    return settled(columns, table_of(columns, zip(*read, strict=True)))


def _cells(where: str, column: Column, cells: Sequence[Any], may_be_absent: bool) -> Sequence[Any]:
    if not may_be_absent and None in cells:
        raise ValueError(f"{where} must have a value in every row")
    kinds = {type(cell) for cell in cells} - {type(None)}
    wanted = {"int64": int, "Int64": int, "bool": bool}.get(column.dtype, str)
    if not kinds <= {wanted}:
        (found, *_) = sorted(kind.__name__ for kind in kinds - {wanted})
        raise ValueError(f"{where} must be of type {wanted.__name__}, but has a value of type {found}")
    if wanted is int and not all(0 <= number < _LARGEST for number in cells if number is not None):
        raise ValueError(f"{where} has a number that is negative, or does not fit into 64 bits")
    return [None if cell is None else utc(where, cell) for cell in cells] if column.dtype == TIME else cells


def utc(where: str, written: str) -> datetime:
    """A time in UTC, from its ISO 8601 form with a time zone.

    Raises:
        ValueError: the text is not an ISO 8601 time, has no time zone, or cannot be converted to UTC.
    """
    try:
        time = datetime.fromisoformat(written)
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{where} must be an ISO 8601 time with a time zone")


def settled(columns: Sequence[Column], table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the dtypes of `columns`, and with categories in alphabetical order."""
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
