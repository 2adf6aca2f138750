"""`Snapshot`: the tables of one scan, with the schema of `regscope.schema`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from regscope import text
from regscope.errors import NotAStore
from regscope.file_rows import FilesOnDisk
from regscope.schema import ARCHIVED, BLOCKING, FIRST_SEEN, LOST, TABLES, make_table, table_of
from regscope.snapshot_folder import FIRST_SEEN_TABLE, About, SnapshotFolder
from regscope.spec.rate_limit import RateLimit
from regscope.version import __version__


@dataclass(frozen=True, repr=False, eq=False)
class Snapshot:
    """What one scan found: a DataFrame for each table of `regscope.schema.TABLES`.

    Attributes:
        location: the store that was scanned, without secrets.
        taken_at: when the scan began, UTC.
        sees_untagged: whether the store could list untagged manifests.
        sees_pulls: whether the store could state when images were pulled: what has no such time never was.
        filtered: what the scan was limited to: repositories, tags, platforms; empty for the whole store.
        remembers_since: the time of the earliest snapshot that the scan was given, from which manifests that lost
            their tags since then are known; None without one.
        rate_limit: the remaining quota that the registry stated at the end of the scan; None where it stated none.
        first_seen: when the earliest known snapshot was taken that has a manifest: `digest` (category), `at` (UTC). The
            manifest is at least that old. Manifests that no earlier snapshot has are left out.
        checked: how many manifests and blobs were checked for being stored in their repositories; None without that
            check (see `regscope.scan`).
    """

    tags: pd.DataFrame
    manifests: pd.DataFrame
    placements: pd.DataFrame
    platforms: pd.DataFrame
    layers: pd.DataFrame
    blobs: pd.DataFrame
    orphans: pd.DataFrame
    history: pd.DataFrame
    labels: pd.DataFrame
    referrers: pd.DataFrame
    unpacked: pd.DataFrame
    files: pd.DataFrame | FilesOnDisk
    packages: pd.DataFrame
    problems: pd.DataFrame
    location: str
    taken_at: datetime
    sees_untagged: bool
    filtered: tuple[str, ...]
    rate_limit: RateLimit | None = None
    remembers_since: datetime | None = None
    first_seen: pd.DataFrame = field(default_factory=lambda: table_of(FIRST_SEEN, ()))
    checked: int | None = None
    sees_pulls: bool = False

    @classmethod
    def from_rows(
        cls,
        rows: Mapping[str, Iterable[Sequence[Any]]],
        *,
        location: str,
        taken_at: datetime,
        sees_untagged: bool,
        filtered: tuple[str, ...] = (),
        rate_limit: RateLimit | None = None,
        remembers_since: datetime | None = None,
        checked: int | None = None,
        sees_pulls: bool = False,
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
            remembers_since=remembers_since,
            checked=checked,
            sees_pulls=sees_pulls,
        )

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table that is in memory, by name."""
        tables = {name: getattr(self, name) for name in TABLES}
        return {name: table for name, table in tables.items() if isinstance(table, pd.DataFrame)}

    @property
    def sees_everything(self) -> bool:
        """Whether every manifest of the store is in the snapshot: then freed bytes are exact, else an upper bound."""
        gaps = self.problems["what"].isin([*BLOCKING, ARCHIVED, "layer"])
        return self.sees_untagged and not self.filtered and not gaps.any()

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the content: equal for two scans between which no tag and no manifest changed."""
        seen = hashlib.sha256(self.location.encode("utf-8", "surrogatepass"))
        for table in (self.tags[["repository", "tag", "digest"]], self.placements[["repository", "digest"]]):
            rows = table.astype("str").sort_values(list(table.columns))
            seen.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
        return seen.hexdigest()

    @property
    def is_image(self) -> pd.Series[bool]:
        """Which rows of `manifests` are images of any schema: neither indexes nor artifacts."""
        return self.manifests["kind"].isin(["image", "schema1"])

    def save(self, folder: Path | str) -> Path:
        """Write one Parquet file for each table, and `snapshot.json`, into `folder`.

        `files` on disk is copied into a folder within it. An earlier snapshot there is replaced after the new one is
        written completely; other files in the folder are not touched.

        Args:
            folder: a new or empty one, or one with a snapshot.

        Raises:
            NotAStore: the folder has other content.
            StoreError: the snapshot cannot be written.
        """
        place = SnapshotFolder(folder)
        on_disk = self.files if isinstance(self.files, FilesOnDisk) else None
        about = About(
            regscope=__version__,
            files_on_disk=on_disk is not None,
            **{name: getattr(self, name) for name in _NO_TABLES},
        )
        first_seen = {FIRST_SEEN_TABLE: self.first_seen} if len(self.first_seen) else {}
        place.write(about, self.tables | first_seen, on_disk)
        return place.folder

    @classmethod
    def load(cls, folder: Path | str) -> Snapshot:
        """Read what `save` wrote.

        Raises:
            NotAStore: the folder is no saved snapshot.
            StoreError: the snapshot is damaged.
        """
        place = SnapshotFolder(folder)
        if not place.is_saved:
            raise NotAStore(
                f"{folder} is not a saved snapshot: it has no snapshot.json",
                next_step="Save one with snapshot.save(folder), or `regscope scan SOURCE --save folder`.",
            )
        about = place.about()
        on_disk = place.files_on_disk(about)
        tables: dict[str, Any] = {"files": on_disk} if on_disk is not None else {}
        tables |= {name: place.table(name, columns) for name, columns in TABLES.items() if name not in tables}
        return cls(
            **tables,
            **{name: getattr(about, name) for name in _NO_TABLES},
            first_seen=place.first_seen(),
        )

    def facts(self) -> dict[str, str]:
        """The main figures, worded, by name."""
        stored = self.blobs[~self.blobs["foreign"]]
        kinds = self.manifests["kind"].value_counts()
        layers = self.layers.drop_duplicates(["digest", "blob_digest"])
        referenced, distinct = layers["size"].sum(), layers.drop_duplicates("blob_digest")["size"].sum()
        found = {
            "repositories": f"{self.placements['repository'].nunique():,}",
            "tags": f"{len(self.tags):,}",
            "images": f"{self.is_image.sum():,}",
            "indexes": f"{kinds.get('index', 0):,}",
            "artifacts": f"{kinds.get('artifact', 0):,}",
            "stored": f"{text.size(float(stored['size'].sum()))} in {text.count(len(stored), 'blob')}",
            "shared": f"{text.size(float(referenced - distinct))} more if layers were not shared",
        }
        if len(self.orphans):
            orphaned = text.size(float(self.orphans["size"].sum()))
            found["orphaned"] = f"{orphaned} in {text.count(len(self.orphans), 'blob')} that no manifest needs"
        if len(self.unpacked):
            found["files"] = f"{len(self.files):,} in {text.count(len(self.unpacked), 'layer')}"
        return found

    def notes(self) -> list[str]:
        """Notes that limit what the numbers mean."""
        found = []
        if len(self.problems):
            found.append(f"{text.count(len(self.problems), 'thing')} could not be read: see the problems table.")
        if self.checked is not None:
            lost = int(self.problems["what"].isin(LOST).sum())
            told = f"{lost:,} are missing or damaged" if lost else "none is missing"
            found.append(f"{text.count(self.checked, 'manifest and blob', 'manifests and blobs')} asked for: {told}.")
        if self.remembers_since is not None and not self.sees_untagged:
            since = f"{self.remembers_since:%Y-%m-%d %H:%M} UTC"
            found.append(f"Manifests that have lost their tag since {since} are counted; others cannot be seen here.")
        elif not self.sees_untagged:
            found.append("Manifests without a tag cannot be seen here, so freed bytes are upper bounds.")
        if self.filtered:
            found.append(f"Only a part of the store was scanned: some of its {' and '.join(self.filtered)}.")
        if len(self.unpacked):
            read, there = len(self.unpacked), self.layers["blob_digest"].nunique()
            rest = "" if read == there else "; the others could not be, are no file systems, or were not asked for"
            found.append(f"The files of {read:,} of {text.count(there, 'layer')} were read{rest}.")
        if self.rate_limit is not None:
            found.append(f"The registry's rate limit when the scan ended: {self.rate_limit}.")
        return found

    def _title(self) -> str:
        return f"Snapshot of {self.location}, {self.taken_at:%Y-%m-%d %H:%M} UTC"

    def __repr__(self) -> str:
        return text.facts(self._title(), self.facts(), self.notes())

    def _repr_html_(self) -> str:
        return text.card(self._title(), self.facts(), self.notes())


_NO_TABLES = (
    "location",
    "taken_at",
    "sees_untagged",
    "filtered",
    "rate_limit",
    "remembers_since",
    "checked",
    "sees_pulls",
)
assert {field.name for field in fields(Snapshot)} == {*TABLES, *_NO_TABLES, "first_seen"}, "Snapshot and TABLES differ"


def is_saved_snapshot(folder: Path) -> bool:
    """Whether `folder` is one that `Snapshot.save` wrote."""
    return SnapshotFolder(folder).is_saved
