"""The folder of a saved snapshot: a Parquet file for each table, and `snapshot.json`, which describes them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow as pa
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from regscope import text
from regscope.errors import NotAStore, StoreError
from regscope.file_rows import FilesOnDisk, is_part, part_name
from regscope.parquet_tables import as_frame, column_names, read_columns, readable
from regscope.schema import ADDED, FIRST_SEEN, Column, recast, table_of
from regscope.spec.lenient_reading import first_fault
from regscope.spec.rate_limit import RateLimit

ABOUT = "snapshot.json"
FILES = "files"
FIRST_SEEN_TABLE = "first_seen"
_UNFINISHED = ".snapshot-unfinished"
_NEXT_STEP = "Scan again and save it anew."


def _within_reach(moment: datetime) -> datetime:
    """A time within the range of pandas, and not before the first container registries."""
    if not datetime(1970, 1, 1, tzinfo=UTC) <= moment < datetime(2262, 1, 1, tzinfo=UTC):
        raise ValueError("no such time")
    return moment


_Time = Annotated[AwareDatetime, AfterValidator(_within_reach)]


class About(BaseModel):
    """The content of `snapshot.json`: the fields of a `Snapshot` that are no tables."""

    model_config = ConfigDict(strict=True, extra="ignore")

    regscope: str = ""
    location: str
    taken_at: _Time
    sees_untagged: bool
    filtered: tuple[str, ...]
    rate_limit: RateLimit | None = None
    remembers_since: _Time | None = None
    checked: Annotated[int, Field(ge=0)] | None = None
    sees_pulls: bool = False
    takes_referrers_along: bool = False
    files_on_disk: bool | None = None


class SnapshotFolder:
    """A folder in which a snapshot is saved, or will be.

    Only a snapshot's own files are replaced or removed: a folder with other content is refused, and files beside a
    snapshot's are not touched.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @property
    def is_saved(self) -> bool:
        """Whether the folder has a complete snapshot."""
        return (self.folder / ABOUT).is_file()

    def check_free(self) -> None:
        """Make sure that a snapshot can be saved here: the folder is new or empty, or has a snapshot.

        Raises:
            NotAStore: the folder has other content.
        """
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise self._in_use("it is a file")
        is_ours = (self.folder / _UNFINISHED).is_dir() or self._is_snapshot()
        if not is_ours and any(self.folder.iterdir()):
            raise self._in_use("it has content that is no snapshot")

    def _is_snapshot(self) -> bool:
        """Whether `snapshot.json` was written by regscope, whose version it states."""
        with contextlib.suppress(OSError, ValidationError):
            return bool(About.model_validate_json((self.folder / ABOUT).read_bytes()).regscope)
        return False

    def _in_use(self, why: str) -> NotAStore:
        return NotAStore(
            f"no snapshot can be saved in {self.folder}: {why}", next_step="Name a new or an empty folder."
        )

    def write(self, about: About, tables: Mapping[str, pd.DataFrame], files: FilesOnDisk | None) -> None:
        """Save a snapshot; an earlier one is replaced after the new one is written completely.

        Args:
            tables: by the names of their files.
            files: the rows of `files` on disk, where they are no table.

        Raises:
            NotAStore: see `check_free`.
            StoreError: the snapshot cannot be written.
        """
        self.check_free()
        try:
            self._write(about, tables, files)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"the snapshot cannot be saved in {self.folder}: {text.plain(error, 300)}",
                next_step="Make room, or name another folder.",
            ) from None

    def _write(self, about: About, tables: Mapping[str, pd.DataFrame], files: FilesOnDisk | None) -> None:
        new, place = self.folder / _UNFINISHED, self.folder / FILES
        is_in_place = files is not None and files.folder.resolve() == place.resolve()
        if files is not None and not is_in_place and _holds_more_than_parts(place):
            raise self._in_use(f"{FILES} in it has content that is no snapshot's")
        if new.is_dir():
            shutil.rmtree(new)
        (new / FILES).mkdir(parents=True)
        for name, table in tables.items():
            table.to_parquet(new / f"{name}.parquet", index=False, compression="zstd")
        for number, part in enumerate(files.parts if files is not None and not is_in_place else ()):
            shutil.copyfile(part, new / FILES / part_name(number))
        (new / ABOUT).write_text(about.model_dump_json(indent=2) + "\n", encoding="utf-8")
        # Removed first and written last: a folder without it is an interrupted save.
        (self.folder / ABOUT).unlink(missing_ok=True)
        self._replace_tables(new, {f"{name}.parquet" for name in tables})
        if not is_in_place:
            _replace_parts(place, new / FILES, files is not None)
        (new / ABOUT).replace(self.folder / ABOUT)
        shutil.rmtree(new)

    def _replace_tables(self, new: Path, names: set[str]) -> None:
        for name in names:
            (new / name).replace(self.folder / name)
        for name in {f"{FILES}.parquet", f"{FIRST_SEEN_TABLE}.parquet"} - names:
            (self.folder / name).unlink(missing_ok=True)

    def about(self) -> About:
        """The content of `snapshot.json`.

        Raises:
            StoreError: the file is damaged.
        """
        try:
            return About.model_validate_json((self.folder / ABOUT).read_bytes())
        except (OSError, ValidationError) as error:
            why = first_fault(error) if isinstance(error, ValidationError) else text.plain(error, 300)
            raise StoreError(f"the snapshot in {self.folder} is damaged: {why}", next_step=_NEXT_STEP) from None

    def table(self, name: str, columns: Sequence[Column]) -> pd.DataFrame:
        """A table, with exactly the columns and dtypes of its schema.

        Raises:
            StoreError: the table is missing or damaged.
        """
        path, added = self.folder / f"{name}.parquet", ADDED.get(name, {})
        with readable(path, _NEXT_STEP):
            there = column_names(path) if added else set()
            missing = added.keys() - there
            found = as_frame(read_columns(path, [column.name for column in columns if column.name not in missing]))
            for column in missing:
                found[column] = added[column]
            return recast(columns, found)

    def first_seen(self) -> pd.DataFrame:
        """The table `first_seen`; empty where no earlier snapshot was known."""
        if not (self.folder / f"{FIRST_SEEN_TABLE}.parquet").is_file():
            return table_of(FIRST_SEEN, ())
        return self.table(FIRST_SEEN_TABLE, FIRST_SEEN)

    def files_on_disk(self, about: About) -> FilesOnDisk | None:
        """The rows of `files` on disk, if they are no table."""
        place = self.folder / FILES
        is_there = about.files_on_disk if about.files_on_disk is not None else place.is_dir()  # earlier versions
        return FilesOnDisk(place) if is_there else None


def _holds_more_than_parts(place: Path) -> bool:
    return place.is_symlink() or (place.exists() and not (place.is_dir() and all(map(is_part, place.iterdir()))))


def _replace_parts(place: Path, new: Path, is_wanted: bool) -> None:
    """Replace the parts in one folder by those of another; other files in it stay."""
    if place.is_dir() and not place.is_symlink():
        for old in filter(is_part, place.iterdir()):
            old.unlink()
        with contextlib.suppress(OSError):  # it has other content
            place.rmdir()
    if is_wanted:
        new.replace(place)
