"""The schemas of all tables of a snapshot, defined in one place.

The tables form a star schema whose key is the digest. Sizes are bytes; times are UTC, to the microsecond. Columns
always have the same dtype, also in an empty table: `category` for digests, names and kinds, `str` for free text,
`Int64` for numbers that may be absent.
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
    """A column of a table: its name, its dtype, its meaning, and its unit if it has one."""

    name: str
    dtype: DType
    meaning: str
    unit: str = ""


_DIGEST = Column("digest", "category", "digest of the manifest")
_REPOSITORY = Column("repository", "category", "full name of the repository")

TABLES: dict[str, tuple[Column, ...]] = {
    "tags": (
        _REPOSITORY,
        Column("tag", "str", "name of the tag"),
        Column("digest", "category", "digest of the manifest that the tag points to"),
        Column("subject", "category", "digest in the name of a fallback or cosign tag (sha256-…): its subject"),
        Column("pushed", TIME, "when the tag was last pushed; absent if the store does not tell"),
        Column("pulled", TIME, "when the tag was last pulled; absent if it never was, or the store does not tell"),
    ),
    "manifests": (
        _DIGEST,
        Column("media_type", "category", "media type of the manifest"),
        Column("kind", "category", "image, index, artifact or schema1"),
        Column("size", "int64", "size of the manifest itself", "bytes"),
        Column("config_digest", "category", "digest of the config blob"),
        Column("artifact_type", "category", "artifactType of an artifact, or else the media type of its config"),
        Column("subject", "category", "digest of the manifest that this manifest refers to"),
        Column("os", "category", "operating system"),
        Column("architecture", "category", "CPU architecture"),
        Column("variant", "category", "CPU variant"),
        Column("created", TIME, "build time in the config or an annotation; absent if unknown"),
        Column("n_layers", "Int64", "number of layers, a repeated layer counted each time"),
        Column("image_size", "Int64", "size of the config and the distinct layers, as stored (compressed)", "bytes"),
    ),
    "placements": (
        _REPOSITORY,
        _DIGEST,
        Column("found", "category", "how the manifest was found: tag, index child, referrer or untagged"),
        Column("pushed", TIME, "when the manifest was pushed there; absent where the store does not know"),
        Column("locked", "bool", "whether the registry refuses to delete it, or to move its tags"),
        Column("pulled", TIME, "when it was last pulled there; absent if it never was, or the store does not tell"),
    ),
    "platforms": (
        Column("index_digest", "category", "digest of the index"),
        Column("digest", "category", "digest of a manifest in the index (child)"),
        Column("os", "category", "operating system stated in the index"),
        Column("architecture", "category", "CPU architecture stated in the index"),
        Column("variant", "category", "CPU variant stated in the index"),
        Column("is_attestation", "bool", "whether the child is a build attestation, not an image"),
    ),
    "layers": (
        _DIGEST,
        Column("position", "int64", "position of the layer in the image, from 0, lowest first"),
        Column("blob_digest", "category", "digest of the layer as stored"),
        Column("diff_id", "category", "digest of the uncompressed layer"),
        Column("chain_id", "category", "ChainID: identifies the layer together with all layers below it"),
        Column("media_type", "category", "media type of the layer"),
        Column("size", "Int64", "size of the layer as stored (compressed)", "bytes"),
        Column("created_by", "category", "build instruction that made the layer, or the builder's comment"),
    ),
    "blobs": (
        Column("digest", "category", "digest of the blob"),
        Column("kind", "category", "layer, config or manifest"),
        Column("size", "Int64", "size as stored; absent if the store does not have the blob", "bytes"),
        Column("media_type", "category", "media type in the first descriptor of the blob"),
        Column("foreign", "bool", "whether the blob is served from elsewhere and not stored in the registry"),
    ),
    "orphans": (
        Column("digest", "category", "digest of a blob that no manifest uses"),
        Column("size", "int64", "size as stored; the next garbage collection frees it", "bytes"),
    ),
    "history": (
        _DIGEST,
        Column("step", "int64", "number of the build step, from 0, oldest first"),
        Column("created", TIME, "when the step was built"),
        Column("created_by", "category", "build instruction, or the comment if there is no instruction"),
        Column("comment", "str", "the builder's comment"),
        Column("empty_layer", "bool", "whether the step made no layer"),
        Column("blob_digest", "category", "digest of the layer if this step alone made it"),
        Column("size", "Int64", "size of that layer as stored, 0 for a step without one; absent if unknown", "bytes"),
    ),
    "labels": (
        _DIGEST,
        Column("source", "category", "config or annotation"),
        Column("key", "category", "key of the label or annotation"),
        Column("value", "str", "value of the label or annotation"),
    ),
    "referrers": (
        Column("subject", "category", "digest of the subject: the manifest that is referred to"),
        Column("digest", "category", "digest of the referrer: the manifest that refers to the subject"),
        Column("artifact_type", "category", "artifact type of the referrer: signature, SBOM, attestation …"),
        Column("found", "category", "how it was found: api, subject, fallback tag, cosign tag or attestation"),
    ),
    "unpacked": (
        Column("layer_digest", "category", "digest of a layer whose files were read"),
        Column("diff_id", "category", "digest of the uncompressed layer, computed from its content"),
        Column("compression", "category", "gzip, zstd or none"),
        Column("size", "int64", "size of the layer as stored (compressed)", "bytes"),
        Column("tar_size", "int64", "size of the uncompressed layer", "bytes"),
        Column("entries", "int64", "number of the layer's rows in `files`"),
    ),
    "files": (
        Column("layer_digest", "category", "digest of the layer; the rows of a layer are consecutive"),
        Column("position", "int64", "position of the entry in the tar, from 0"),
        Column(
            "path",
            "str",
            "path from the root, without a leading slash; empty for the root; for a whiteout the path that it hides",
        ),
        Column("kind", "category", "file, directory, symlink, hardlink, character device, block device or fifo"),
        Column("size", "int64", "size of the content; for other kinds than files, the size in the tar header", "bytes"),
        Column("mode", "int64", "permission bits, with setuid, setgid and sticky"),
        Column("uid", "int64", "user id of the owner"),
        Column("gid", "int64", "group id of the owner"),
        Column("mtime", TIME, "modification time; absent if the year is out of range"),
        Column("link_target", "str", "link target: for a symlink as in the tar, for a hardlink a path as in `path`"),
        Column("device", "category", "major:minor of a device"),
        Column("xattrs", "str", "extended attributes: a JSON object, values in base64; absent if there are none"),
        Column(
            "sha256",
            "str",
            "SHA-256 of a regular file's content, 64 hex digits; absent if the file has more than 1 GiB of holes",
        ),
        Column("magic", "category", "file type by a regular file's first bytes; absent if unknown"),
        Column("secret", "category", "kind of secret that a regular file appears to contain: private key …"),
        Column("whiteout", "category", "delete or opaque: a whiteout that hides lower layers; ignored: AUFS metadata"),
    ),
    "packages": (
        Column("layer_digest", "category", "digest of the layer"),
        Column("path", "str", "path of the file that lists or describes the package, as in `files`"),
        Column("manager", "category", "package manager: dpkg, apk, rpm, python or npm"),
        Column("name", "str", "name of the package"),
        Column("version", "str", "version of the package in the manager's notation"),
        Column("architecture", "category", "CPU architecture; absent if the manager names none"),
    ),
    "problems": (
        _REPOSITORY,
        Column("reference", "str", "tag or digest"),
        Column("what", "category", "what could not be read, or is missing, damaged or archived"),
        Column("error", "str", "error message"),
    ),
}

ADDED: dict[str, dict[str, bool | None]] = {
    "tags": {"pulled": None},
    "placements": {"pushed": None, "locked": False, "pulled": None},
}
"""Columns that snapshots of earlier versions do not have, by table, with what they hold there."""

_EARLIEST = pd.Timestamp(datetime(1, 1, 1, tzinfo=UTC))
_LATEST = pd.Timestamp(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))

FIRST_SEEN = (_DIGEST, Column("at", TIME, "when the earliest known snapshot with the manifest was taken"))
"""The first known sighting of each manifest, in a snapshot scanned with `known`: the manifest is at least that old."""

BLOCKING = ("tag list", "manifest", "referrers")
"""Values of `problems.what` for content whose references (children, subjects, blobs) are therefore unknown."""

SUBJECT = "subject"
"""Value of `problems.what` for a referrer whose subject was not searched for, so it may exist or not."""

MISSING_MANIFEST, MISSING_BLOB, DAMAGED = "missing manifest", "missing blob", "damaged"
LOST = (MISSING_MANIFEST, MISSING_BLOB, DAMAGED)
"""Values of `problems.what` for content that the registry lost or has damaged; no references are unknown by it."""

ARCHIVED = "archived"
"""Value of `problems.what` for an image that the registry stores where it cannot be read; it needs blobs alone."""

UNCHECKED = "unchecked"
"""Value of `problems.what` for content of which the registry did not tell whether it exists."""


def make_table(name: str, rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """The table `name` of `TABLES` from rows, whose cells are in the order of its columns."""
    return table_of(TABLES[name], rows)


def table_of(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """A table from rows, whose cells are in the order of `columns`."""
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
    """`cell` without lone surrogates, which Arrow refuses: Python decodes names that are not UTF-8 to them."""
    return cell.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(cell, str) else cell


def conformed(name: str, table: pd.DataFrame, columns: Collection[str] | None = None) -> pd.DataFrame:
    """`table` with the exact dtypes of its schema, all columns or some: other writers of Parquet use other dtypes."""
    return recast([column for column in TABLES[name] if columns is None or column.name in columns], table)


def recast(columns: Iterable[Column], table: pd.DataFrame) -> pd.DataFrame:
    """These columns of `table`, cast to their exact dtypes."""
    return pd.DataFrame({column.name: _recast(table[column.name], column.dtype) for column in columns})


def _recast(cells: pd.Series[Any], dtype: DType) -> Any:
    if dtype == "bool" and not pd.api.types.is_bool_dtype(cells.dtype):  # else any text, and NaN, becomes True
        raise TypeError(f"{cells.name} has the dtype {cells.dtype} instead of bool")
    if dtype == TIME:
        return _within_the_calendar(cells.astype(dtype))
    if dtype != "category":
        return cells if cells.dtype == dtype else cells.astype(dtype)
    found = cells.astype(dtype).cat  # the categories of an empty column have the dtype object
    return pd.Categorical.from_codes(found.codes, categories=found.categories.astype("str"))


def _within_the_calendar(times: pd.Series[Any]) -> pd.Series[Any]:
    """`times`, after a check that all are in the years 1 to 9999, the range of Python's datetime."""
    known = times.dropna()
    if len(known) and not _EARLIEST <= known.min() <= known.max() <= _LATEST:
        raise ValueError(f"{times.name} has times outside of the years 1 to 9999")
    return times
