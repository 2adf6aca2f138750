"""The schema of every table, once, and `Snapshot`: the tables of one scan.

A star around the digest. Sizes are bytes; times are UTC, to the microsecond. Columns have the same dtype whatever was
scanned, in an empty table too: `category` for digests, names and kinds, `str` for free text, `Int64` where a number
can be absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import pandas as pd
import pyarrow as pa

from regscope import text
from regscope.errors import NotAStore, StoreError
from regscope.spec.rate_limit import RateLimit
from regscope.version import __version__

DType = Literal["category", "str", "int64", "Int64", "bool", "datetime64[us, UTC]"]
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
        Column("created_by", "category", "build instruction that made it"),
    ),
    "blobs": (
        Column("digest", "category", "digest of the blob"),
        Column("kind", "category", "layer, config or manifest"),
        Column("size", "Int64", "as stored", "bytes"),
        Column("media_type", "category", "as first described"),
        Column("foreign", "bool", "served from elsewhere, so it takes no room in the registry"),
    ),
    "history": (
        _DIGEST,
        Column("step", "int64", "from 0, oldest first"),
        Column("created", TIME, "when the step was built"),
        Column("created_by", "category", "build instruction"),
        Column("comment", "str", "the builder's comment"),
        Column("empty_layer", "bool", "whether the step made no layer"),
        Column("blob_digest", "category", "the layer that it made"),
        Column("size", "Int64", "of that layer, 0 for a step without one", "bytes"),
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
    "files": (
        Column("layer_digest", "category", "digest of the layer"),
        Column("path", "str", "path in the layer"),
        Column("kind", "category", "file, directory, symlink, hardlink, device or fifo"),
        Column("size", "int64", "of the content", "bytes"),
        Column("mode", "int64", "permission bits"),
        Column("uid", "int64", "owner"),
        Column("gid", "int64", "group"),
        Column("mtime", TIME, "modification time"),
        Column("link_target", "str", "where a link points"),
        Column("sha256", "category", "of a regular file's content"),
        Column("whiteout", "category", "delete or opaque, for the marks that hide lower layers"),
    ),
    "problems": (
        _REPOSITORY,
        Column("reference", "str", "tag or digest"),
        Column("what", "category", "what could not be read"),
        Column("error", "str", "why"),
    ),
}


def make_table(name: str, rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """The table `name` from rows in the order of its columns."""
    columns = TABLES[name]
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


@dataclass(frozen=True, repr=False, eq=False)
class Snapshot:
    """What one scan found: a DataFrame for each table of `regscope.tables.TABLES`.

    Attributes:
        location: the store that was scanned, without secrets.
        taken_at: when the scan began, UTC.
        sees_untagged: whether the store could show manifests that no tag keeps.
        filtered: whether only some repositories, tags or platforms were scanned.
        rate_limit: what the registry said was left of its quota when the scan ended; None where it said nothing.
    """

    tags: pd.DataFrame
    manifests: pd.DataFrame
    placements: pd.DataFrame
    platforms: pd.DataFrame
    layers: pd.DataFrame
    blobs: pd.DataFrame
    history: pd.DataFrame
    labels: pd.DataFrame
    referrers: pd.DataFrame
    files: pd.DataFrame
    problems: pd.DataFrame
    location: str
    taken_at: datetime
    sees_untagged: bool
    filtered: bool
    rate_limit: RateLimit | None = None

    @classmethod
    def from_rows(
        cls,
        rows: Mapping[str, Iterable[Sequence[Any]]],
        *,
        location: str,
        taken_at: datetime,
        sees_untagged: bool,
        filtered: bool = False,
        rate_limit: RateLimit | None = None,
    ) -> Snapshot:
        """A snapshot from rows for each table, in the order of its columns; a table left out is empty."""
        tables = {name: make_table(name, rows.get(name, ())) for name in TABLES}
        return cls(
            **tables,
            location=location,
            taken_at=taken_at,
            sees_untagged=sees_untagged,
            filtered=filtered,
            rate_limit=rate_limit,
        )

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by name."""
        return {name: getattr(self, name) for name in TABLES}

    @property
    def sees_everything(self) -> bool:
        """Whether nothing that could hold a blob may be missing: then freed bytes are exact, else at most."""
        gaps = self.problems["what"].isin(["tag list", "manifest", "referrers", "layer"])
        return self.sees_untagged and not self.filtered and not gaps.any()

    @property
    def is_image(self) -> pd.Series[bool]:
        """Which rows of `manifests` are images, of whatever schema: neither indexes nor artifacts."""
        return self.manifests["kind"].isin(["image", "schema1"])

    def save(self, folder: Path | str) -> Path:
        """Write one Parquet file for each table, and `snapshot.json`, into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "snapshot.json").unlink(missing_ok=True)
        for name, table in self.tables.items():
            table.to_parquet(folder / f"{name}.parquet", index=False, compression="zstd")
        about = {
            "regscope": __version__,
            "location": self.location,
            "taken_at": self.taken_at.isoformat(),
            "sees_untagged": self.sees_untagged,
            "filtered": self.filtered,
            "rate_limit": self.rate_limit,
        }
        # Last: a folder without it is a save that was cut short.
        (folder / "snapshot.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> Snapshot:
        """Read what `save` wrote.

        Raises:
            NotAStore: the folder is no saved snapshot.
            StoreError: it is one, and damaged.
        """
        folder = Path(folder)
        if not is_saved_snapshot(folder):
            raise NotAStore(
                f"{folder} is not a saved snapshot: it has no snapshot.json",
                next_step="Save one with snapshot.save(folder), or `regscope scan SOURCE --save folder`.",
            )
        try:
            about = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
            tables = {name: _conformed(name, pd.read_parquet(folder / f"{name}.parquet")) for name in TABLES}
            return cls(
                **tables,
                location=str(about["location"]),
                taken_at=datetime.fromisoformat(about["taken_at"]),
                sees_untagged=bool(about["sees_untagged"]),
                filtered=bool(about["filtered"]),
                rate_limit=RateLimit(*limit) if (limit := about.get("rate_limit")) else None,
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException) as error:
            raise StoreError(
                f"the snapshot in {folder} is damaged: {text.plain(error, 300)}",
                next_step="Scan again and save it anew.",
            ) from None

    def facts(self) -> dict[str, str]:
        """What a person wants to know first, in words."""
        stored = self.blobs[~self.blobs["foreign"]]
        kinds = self.manifests["kind"].value_counts()
        layers = self.layers.drop_duplicates(["digest", "blob_digest"])
        referenced, distinct = layers["size"].sum(), layers.drop_duplicates("blob_digest")["size"].sum()
        return {
            "repositories": f"{self.placements['repository'].nunique():,}",
            "tags": f"{len(self.tags):,}",
            "images": f"{self.is_image.sum():,}",
            "indexes": f"{kinds.get('index', 0):,}",
            "artifacts": f"{kinds.get('artifact', 0):,}",
            "stored": f"{text.size(float(stored['size'].sum()))} in {text.count(len(stored), 'blob')}",
            "shared": f"{text.size(float(referenced - distinct))} more if layers were not shared",
        }

    def notes(self) -> list[str]:
        """What a reader of the numbers must know."""
        found = []
        if len(self.problems):
            found.append(f"{text.count(len(self.problems), 'thing')} could not be read: see the problems table.")
        if not self.sees_untagged:
            found.append("Manifests without a tag cannot be seen here, so freed bytes are upper bounds.")
        if self.filtered:
            found.append("Only a part of the store was scanned.")
        if self.rate_limit is not None:
            found.append(f"The registry's rate limit when the scan ended: {self.rate_limit}.")
        return found

    def _title(self) -> str:
        return f"Snapshot of {self.location}, {self.taken_at:%Y-%m-%d %H:%M} UTC"

    def __repr__(self) -> str:
        return text.facts(self._title(), self.facts(), self.notes())

    def _repr_html_(self) -> str:
        return text.card(self._title(), self.facts(), self.notes())


_ABOUT = {"location", "taken_at", "sees_untagged", "filtered", "rate_limit"}
assert {field.name for field in fields(Snapshot)} - _ABOUT == set(TABLES), "Snapshot and TABLES differ"


def is_saved_snapshot(folder: Path) -> bool:
    """Whether `folder` holds what `Snapshot.save` wrote."""
    return (folder / "snapshot.json").is_file()


def _conformed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """`table` with just the dtypes of its schema: other writers of Parquet have their own."""
    return pd.DataFrame({column.name: _recast(table[column.name], column.dtype) for column in TABLES[name]})


def _recast(cells: pd.Series[Any], dtype: DType) -> Any:
    if dtype == "bool" and not pd.api.types.is_bool_dtype(cells.dtype):  # else any text, and NaN, would be True
        raise TypeError(f"{cells.name} holds {cells.dtype} instead of true and false")
    if dtype != "category":
        return cells.astype(dtype)
    found = cells.astype(dtype).cat  # without a value in them, categories come back as objects
    return pd.Categorical.from_codes(found.codes, categories=found.categories.astype("str"))
