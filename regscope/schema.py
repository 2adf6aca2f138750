"""The schema of every table, once.

A star around the digest. Sizes are bytes; times are UTC, to the microsecond. Columns have the same dtype whatever was
scanned, in an empty table too: `category` for digests, names and kinds, `str` for free text, `Int64` where a number
can be absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast

import pandas as pd
import pyarrow as pa

DType = Literal["category", "str", "int64", "Int64", "float64", "bool", "datetime64[us, UTC]", "timedelta64[us]"]
TIME: DType = "datetime64[us, UTC]"


class Column(NamedTuple):
    """One column: its dtype, its unit where it has one, and what it means."""

    name: str
    dtype: DType
    meaning: str
    unit: str = ""


_DIGEST = Column("digest", "category", "digest of the manifest")
_REPOSITORY = Column("repository", "category", "whole name of the repository")

TABLES: dict[str, tuple[Column, ...]] = {
    "tags": (
        _REPOSITORY,
        Column("tag", "str", "the tag"),
        Column("digest", "category", "digest of the manifest that it points to"),
        Column("subject", "category", "the manifest that a fallback or cosign tag (sha256-…) is about; else absent"),
        Column("pushed", TIME, "when it was pushed last; absent where the store does not know"),
    ),
    "manifests": (
        _DIGEST,
        Column("media_type", "category", "its media type"),
        Column("kind", "category", "image, index, artifact or schema1"),
        Column("size", "int64", "the manifest itself", "bytes"),
        Column("config_digest", "category", "digest of the config blob"),
        Column("artifact_type", "category", "of an artifact: its artifactType, else its config's media type"),
        Column("subject", "category", "the manifest that this one refers to"),
        Column("os", "category", "operating system"),
        Column("architecture", "category", "CPU architecture"),
        Column("variant", "category", "CPU variant"),
        Column("created", TIME, "when it was built, by its config or annotation; absent if unknown"),
        Column("n_layers", "Int64", "layers, a repeated one counted each time"),
        Column("image_size", "Int64", "config and distinct layers, as stored (compressed)", "bytes"),
    ),
    "placements": (
        _REPOSITORY,
        _DIGEST,
        Column("found", "category", "how it was found: tag, index child, referrer or untagged"),
        Column("pushed", TIME, "when the manifest was pushed there; absent where the store does not know"),
        Column("locked", "bool", "whether the registry refuses to delete it, or to move its tags"),
    ),
    "platforms": (
        Column("index_digest", "category", "digest of the index"),
        Column("digest", "category", "digest of its child"),
        Column("os", "category", "operating system, as the index says"),
        Column("architecture", "category", "CPU architecture, as the index says"),
        Column("variant", "category", "CPU variant, as the index says"),
        Column("is_attestation", "bool", "whether it is a build attestation and no image"),
    ),
    "layers": (
        _DIGEST,
        Column("position", "int64", "from 0, lowest first"),
        Column("blob_digest", "category", "digest of the layer as stored"),
        Column("diff_id", "category", "digest of the uncompressed layer"),
        Column("chain_id", "category", "identity of this layer on top of all under it"),
        Column("media_type", "category", "media type of the layer"),
        Column("size", "Int64", "the layer as stored (compressed)", "bytes"),
        Column("created_by", "category", "build instruction that made it, or the builder's comment"),
    ),
    "blobs": (
        Column("digest", "category", "digest of the blob"),
        Column("kind", "category", "layer, config or manifest"),
        Column("size", "Int64", "as stored; absent where the store does not have it", "bytes"),
        Column("media_type", "category", "as first described"),
        Column("foreign", "bool", "served from elsewhere, so it takes no room in the registry"),
    ),
    "orphans": (
        Column("digest", "category", "digest of a blob that no manifest needs"),
        Column("size", "int64", "as stored: what the next garbage collection takes in any case", "bytes"),
    ),
    "history": (
        _DIGEST,
        Column("step", "int64", "from 0, oldest first"),
        Column("created", TIME, "when the step was built"),
        Column("created_by", "category", "build instruction, or the comment where there is none"),
        Column("comment", "str", "the builder's comment"),
        Column("empty_layer", "bool", "whether the step made no layer"),
        Column("blob_digest", "category", "the layer that it alone made"),
        Column("size", "Int64", "of that layer, 0 for a step without one; absent if unknown", "bytes"),
    ),
    "labels": (
        _DIGEST,
        Column("source", "category", "config or annotation"),
        Column("key", "category", "the label's key"),
        Column("value", "str", "the label's value"),
    ),
    "referrers": (
        Column("subject", "category", "digest of the manifest that is referred to"),
        Column("digest", "category", "digest of the manifest that refers to it"),
        Column("artifact_type", "category", "what it is: signature, SBOM, attestation …"),
        Column("found", "category", "how: api, subject, fallback tag, cosign tag or attestation"),
    ),
    "unpacked": (
        Column("layer_digest", "category", "digest of a layer whose files were read"),
        Column("diff_id", "category", "digest of the uncompressed layer, as it was found to be"),
        Column("compression", "category", "gzip, zstd or none"),
        Column("size", "int64", "the layer as stored", "bytes"),
        Column("tar_size", "int64", "the uncompressed layer", "bytes"),
        Column("entries", "int64", "rows of `files`"),
    ),
    "files": (
        Column("layer_digest", "category", "digest of the layer; its rows stand together"),
        Column("position", "int64", "from 0, in the order of the tar"),
        Column(
            "path", "str", "from the root, with no slash before it; of a whiteout: what it hides; the root is empty"
        ),
        Column("kind", "category", "file, directory, symlink, hardlink, character device, block device or fifo"),
        Column("size", "int64", "of the content; of what is no file, what the tar says", "bytes"),
        Column("mode", "int64", "permission bits, with setuid, setgid and sticky"),
        Column("uid", "int64", "owner"),
        Column("gid", "int64", "group"),
        Column("mtime", TIME, "modification time; absent where the year is out of range"),
        Column("link_target", "str", "of a symlink as it is written; of a hardlink a path as in `path`"),
        Column("device", "category", "of a device: major:minor"),
        Column("xattrs", "str", "extended attributes: a JSON object, values in base64; absent where there are none"),
        Column(
            "sha256",
            "str",
            "64 digits; of a regular file's content; absent where over 1 GiB of it is holes",
        ),
        Column("magic", "category", "what a regular file's first bytes say that it is; absent where they say nothing"),
        Column("secret", "category", "what a regular file seems to hold that should be in no image: private key …"),
        Column("whiteout", "category", "delete or opaque, for the marks that hide lower layers; ignored for AUFS' own"),
    ),
    "packages": (
        Column("layer_digest", "category", "digest of the layer"),
        Column("path", "str", "the file that lists or describes the package, as in `files`"),
        Column("manager", "category", "dpkg, apk, rpm, python or npm"),
        Column("name", "str", "the package"),
        Column("version", "str", "its version, as its manager writes it"),
        Column("architecture", "category", "CPU architecture, where its manager names one"),
    ),
    "problems": (
        _REPOSITORY,
        Column("reference", "str", "tag or digest"),
        Column("what", "category", "what could not be read"),
        Column("error", "str", "why"),
    ),
}

ADDED: dict[str, dict[str, bool | None]] = {"placements": {"pushed": None, "locked": False}}
"""Columns that snapshots of earlier versions do not have, by table, with what they hold there."""

_EARLIEST = pd.Timestamp(datetime(1, 1, 1, tzinfo=UTC))
_LATEST = pd.Timestamp(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))

FIRST_SEEN = (_DIGEST, Column("at", TIME, "when the earliest known snapshot with it was taken"))
"""Of a snapshot that was scanned with earlier ones: which manifests they had. Built they were no later than that."""

BLOCKING = ("tag list", "manifest", "referrers")
"""What of `problems` hides things that may hold others: their children, subjects and blobs. Names hide nothing."""

SUBJECT = "subject"
"""What of `problems` hides only whether what is attached to something is attached to nothing."""

MISSING_MANIFEST, MISSING_BLOB, DAMAGED = "missing manifest", "missing blob", "damaged"
LOST = (MISSING_MANIFEST, MISSING_BLOB, DAMAGED)
"""What of `problems` says that the registry has lost something, or has it damaged: it hides nothing."""

UNCHECKED = "unchecked"
"""What of `problems` says that the registry does not tell whether it has something."""


def make_table(name: str, rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """The table `name` from rows in the order of its columns."""
    return table_of(TABLES[name], rows)


def table_of(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """A table from rows in the order of `columns`."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    return pd.DataFrame(
        {column.name: _column(cells, column.dtype) for column, cells in zip(columns, values, strict=True)}
    )


def _column(cells: Sequence[Any], dtype: DType) -> Any:
    try:
        return _typed(cells, dtype)
    except UnicodeEncodeError:
        return _typed([_storable(cell) for cell in cells], dtype)


def _typed(cells: Sequence[Any], dtype: DType) -> Any:
    if dtype == "category":
        encoded = cast("pa.DictionaryArray", pa.array(cells, pa.string()).dictionary_encode())
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, categories=pd.Index(encoded.dictionary.to_pylist(), dtype="str"))
    if dtype == TIME:
        return pa.array(cells, pa.timestamp("us", tz="UTC")).to_pandas()
    return pd.array(list(cells), dtype=dtype)


def _storable(cell: Any) -> Any:
    """A name on disk or in a tar that is not UTF-8 reaches Python as lone surrogates; Arrow takes none."""
    return cell.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(cell, str) else cell


def conformed(name: str, table: pd.DataFrame, columns: Collection[str] | None = None) -> pd.DataFrame:
    """`table` with just the dtypes of its schema, all its columns or some: other writers of Parquet have their own."""
    return recast([column for column in TABLES[name] if columns is None or column.name in columns], table)


def recast(columns: Iterable[Column], table: pd.DataFrame) -> pd.DataFrame:
    """These columns of `table`, with just their dtypes."""
    return pd.DataFrame({column.name: _recast(table[column.name], column.dtype) for column in columns})


def _recast(cells: pd.Series[Any], dtype: DType) -> Any:
    if dtype == "bool" and not pd.api.types.is_bool_dtype(cells.dtype):  # else any text, and NaN, would be True
        raise TypeError(f"{cells.name} holds {cells.dtype} instead of true and false")
    if dtype == TIME:
        return _within_the_calendar(cells.astype(dtype))
    if dtype != "category":
        return cells if cells.dtype == dtype else cells.astype(dtype)
    found = cells.astype(dtype).cat  # without a value in them, categories come back as objects
    return pd.Categorical.from_codes(found.codes, categories=found.categories.astype("str"))


def _within_the_calendar(times: pd.Series[Any]) -> pd.Series[Any]:
    """`times`, none of them beyond those that Python knows: the years 1 to 9999."""
    known = times.dropna()
    if len(known) and not _EARLIEST <= known.min() <= known.max() <= _LATEST:
        raise ValueError(f"{times.name} holds times that no calendar has")
    return times
