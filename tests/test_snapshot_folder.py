"""A snapshot's folder: nothing else is lost when one is saved in it, and nothing in it can harm who loads it."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from regscope.errors import NotAStore, StoreError
from regscope.file_rows import FilesOnDisk, FilesWriter
from regscope.schema import ADDED, TABLES
from regscope.snapshot_folder import SnapshotFolder
from regscope.tables import Snapshot, is_saved_snapshot
from tests.test_tables import ROWS, assert_same, assert_schema, snapshot


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def on_disk(folder: Path) -> Snapshot:
    """The snapshot of `test_tables`, its files on disk."""
    writer = FilesWriter(folder)
    writer.add(pa.Table.from_pandas(snapshot().tables["files"]))
    writer.close()
    return dataclasses.replace(snapshot(), files=FilesOnDisk(folder))


# --- saving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["files/thesis.txt", "tags.parquet", "snapshot.json", "notes.txt", "oci-layout", ".unfinished/x"]
)
@pytest.mark.parametrize("kind", ["in memory", "on disk"])
def test_a_folder_with_anything_else_in_it_is_refused_and_stays_as_it_is(tmp_path: Path, name: str, kind: str) -> None:
    mine = tmp_path / "mine" / name
    mine.parent.mkdir(parents=True)
    mine.write_text('{"location": "mine"}')
    before = files_under(tmp_path / "mine")
    snap = snapshot() if kind == "in memory" else on_disk(tmp_path / "rows")
    with pytest.raises(NotAStore, match="no snapshot can be saved") as caught:
        snap.save(tmp_path / "mine")
    assert "new or an empty folder" in caught.value.next_step
    assert files_under(tmp_path / "mine") == before


def test_a_file_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotAStore, match="it is a file"):
        snapshot().save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_what_stands_beside_a_snapshot_stays(tmp_path: Path) -> None:
    snapshot().save(tmp_path)
    for name in ("files/thesis.txt", "notes.md", "more.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    snapshot({}).save(tmp_path)
    assert_same(Snapshot.load(tmp_path), snapshot({}))
    for name in ("files/thesis.txt", "notes.md", "more.parquet"):
        assert (tmp_path / name).read_text() == name


def test_files_on_disk_take_no_place_that_holds_something_else(tmp_path: Path) -> None:
    place = snapshot().save(tmp_path / "saved")
    (place / "files").mkdir()
    (place / "files" / "thesis.txt").write_text("mine")
    with pytest.raises(NotAStore, match="files in it has content"):
        on_disk(tmp_path / "rows").save(place)
    assert (place / "files" / "thesis.txt").read_text() == "mine"
    assert_same(Snapshot.load(place), snapshot())


def test_files_on_disk_and_in_memory_replace_each_other(tmp_path: Path) -> None:
    place = tmp_path / "saved"
    for snap in (on_disk(tmp_path / "rows"), snapshot(), on_disk(tmp_path / "again")):
        snap.save(place)
        loaded = Snapshot.load(place)
        assert isinstance(loaded.files, FilesOnDisk) is isinstance(snap.files, FilesOnDisk)
        assert len(loaded.files) == len(ROWS["files"])
        names = {"files"} if isinstance(snap.files, FilesOnDisk) else {"files.parquet"}
        assert {path.name for path in place.glob("files*")} == names
        loaded.save(place)  # onto what it is read from
        assert len(Snapshot.load(place).files) == len(ROWS["files"])


def test_a_link_in_the_place_of_a_table_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    place = snapshot().save(tmp_path / "saved")
    (place / "tags.parquet").unlink()
    (place / "tags.parquet").symlink_to(tmp_path / "thesis.txt")
    snapshot().save(place)
    assert_same(Snapshot.load(place), snapshot())
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_second_save_that_is_cut_short_is_not_read_as_a_mix_of_both(tmp_path: Path) -> None:
    snapshot().save(tmp_path)
    (tmp_path / "problems.parquet").unlink()
    (tmp_path / "problems.parquet").mkdir()
    with pytest.raises(StoreError, match=r"problems\.parquet"):
        snapshot({}).save(tmp_path)
    assert not is_saved_snapshot(tmp_path)
    with pytest.raises(NotAStore):
        Snapshot.load(tmp_path)
    (tmp_path / "problems.parquet").rmdir()
    snapshot({}).save(tmp_path)
    assert_same(Snapshot.load(tmp_path), snapshot({}))


def test_a_save_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    snapshot().save(tmp_path)
    too_long = snapshot({"tags": [("a", "b", "c", None, None, None)]}, filtered=("tags",))
    broken = dataclasses.replace(too_long, tags=too_long.tags.assign(tag=[object()]))
    with pytest.raises(StoreError, match="cannot be saved"):
        broken.save(tmp_path)
    assert_same(Snapshot.load(tmp_path), snapshot())


# --- loading ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot().save(tmp_path_factory.mktemp("saved"))


def test_one_of_an_earlier_version_has_the_columns_that_came_later(saved: Path, tmp_path: Path) -> None:
    """Before providers: `placements` had neither `pushed` nor `locked`."""
    earlier = Path(shutil.copytree(saved, tmp_path / "earlier"))
    path = earlier / "placements.parquet"
    pq.write_table(pq.read_table(path).drop_columns([*ADDED["placements"]]), path)
    loaded = Snapshot.load(earlier)
    assert_schema(loaded.tables)
    assert loaded.placements["pushed"].isna().all()
    assert not loaded.placements["locked"].any()
    rest = ["repository", "digest", "found"]
    assert loaded.placements[rest].equals(Snapshot.load(saved).placements[rest])


def test_one_that_lacks_another_column_is_damaged(saved: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(saved, tmp_path / "damaged"))
    path = damaged / "placements.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["found"]), path)
    with pytest.raises(StoreError, match="found"):
        Snapshot.load(damaged)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_with_changed_bytes_is_valid_or_an_error(saved: Path, tmp_path: Path, name: str) -> None:
    raw, drawn = (saved / f"{name}.parquet").read_bytes(), random.Random(name)
    outcomes = set()
    for _ in range(60):
        changed = bytearray(raw)
        for _ in range(drawn.choice((1, 1, 3))):
            changed[drawn.randrange(len(raw))] = drawn.choice((0, 127, 128, 255, drawn.randrange(256)))
        (tmp_path / f"{name}.parquet").write_bytes(changed)
        try:
            found = SnapshotFolder(tmp_path).table(name, TABLES[name])
        except StoreError:
            outcomes.add("error")
            continue
        assert_schema({**snapshot().tables, name: found})
        repr(found.to_dict("records"))
        outcomes.add("valid")
    assert "error" in outcomes


def test_a_description_with_any_byte_changed_is_valid_or_an_error(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    raw, drawn = (saved / "snapshot.json").read_bytes(), random.Random(1)
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] = drawn.randrange(256)
        (tmp_path / "snapshot.json").write_bytes(changed)
        try:
            loaded = Snapshot.load(tmp_path)
        except StoreError:
            continue
        assert repr(loaded)
        assert loaded.taken_at.tzinfo is not None


@pytest.mark.parametrize(
    "about",
    [
        {"taken_at": "2024-05-06T07:08:09"},
        {"taken_at": "0001-01-01T00:00:00Z"},
        {"taken_at": "9999-12-31T23:59:59Z"},
        {"sees_untagged": "no"},
        {"filtered": "tags"},
        {"filtered": [["tags"]]},
        {"rate_limit": [1, "many", None]},
        {"rate_limit": [1, 2, 3, 4]},
        {"remembers_since": 10**30},
        {"location": None},
        {"files_on_disk": True},
    ],
)
def test_a_description_of_the_wrong_kinds_is_a_store_error(saved: Path, tmp_path: Path, about: dict[str, Any]) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    document = json.loads((tmp_path / "snapshot.json").read_bytes())
    (tmp_path / "snapshot.json").write_text(json.dumps(document | about))
    with pytest.raises(StoreError):
        Snapshot.load(tmp_path)


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("tag", pa.array([["a"] * 1000])),
        ("tag", pa.array([{"a": 1}])),
        ("tag", pa.array([b"\xff\xfe"]).cast(pa.binary())),
        ("tag", pa.array([1.5])),
        ("repository", pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([b"\xff"]).view(pa.string()))),
        ("tag", pa.array([b"\xff"]).view(pa.string())),
        ("pushed", pa.array([2**62]).view(pa.timestamp("us", tz="UTC"))),
        ("pushed", pa.array([-(2**62)]).view(pa.timestamp("us", tz="UTC"))),
        ("pushed", pa.array([2**40]).view(pa.timestamp("s", tz="UTC"))),
    ],
)
def test_a_column_of_another_kind_is_valid_or_an_error(tmp_path: Path, column: str, cells: pa.Array) -> None:
    row = pa.Table.from_pandas(snapshot().tables["tags"].iloc[:1]).replace_schema_metadata(None)
    at = row.schema.get_field_index(column)
    pq.write_table(row.set_column(at, column, cells), tmp_path / "tags.parquet")
    try:
        found = SnapshotFolder(tmp_path).table("tags", TABLES["tags"])
    except StoreError:
        return
    assert_schema({**snapshot().tables, "tags": found})
    assert repr(found.to_dict("records"))


def test_a_column_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    row = pa.Table.from_pandas(snapshot().tables["tags"])
    pq.write_table(row.append_column("tag", row["tag"]), tmp_path / "tags.parquet")
    with pytest.raises(StoreError, match="2 columns called tag"):
        SnapshotFolder(tmp_path).table("tags", TABLES["tags"])


def test_no_number_in_a_footer_is_believed_before_it_is_held_against_the_file(saved: Path, tmp_path: Path) -> None:
    """Each byte of the footer in turn is made a number of 2**60, in Thrift's compact form."""
    raw = (saved / "orphans.parquet").read_bytes()
    length = int.from_bytes(raw[-8:-4], "little")
    pages, footer = raw[: -8 - length], raw[-8 - length : -8]
    huge, claimed = b"\x80" * 8 + b"\x20", 0
    for at in range(length):
        changed = footer[:at] + huge + footer[at + 1 :]
        (tmp_path / "orphans.parquet").write_bytes(pages + changed + len(changed).to_bytes(4, "little") + b"PAR1")
        try:
            SnapshotFolder(tmp_path).table("orphans", TABLES["orphans"])
        except StoreError as error:
            claimed += "its footer states" in error.message
    assert claimed


# Of this process alone: getrusage also counts what the process had that it was made from.
LOAD = """
import re, sys, time
from regscope.errors import StoreError
from regscope.schema import ADDED, TABLES
from regscope.snapshot_folder import SnapshotFolder
started = time.monotonic()
try:
    SnapshotFolder(sys.argv[1]).table("tags", TABLES["tags"])
except StoreError as error:
    print(error.message, file=sys.stderr)
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
"""


BOMBS: dict[str, tuple[int, list[str]]] = {
    "one word often": (1_000_000, ["x" * 100_000]),
    "a long word": (1, ["x" * 300_000_000]),
    "rows of nothing": (5_000_000, [""]),
    "long words in turn": (300_000, ["x" * 90_000, "y" * 90_000, ""]),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_holds_much_is_an_error_in_little_memory(tmp_path: Path, kind: str) -> None:
    rows, words = BOMBS[kind]
    cells = pa.DictionaryArray.from_arrays(pa.array(np.arange(rows) % len(words)), pa.array(words))
    columns = {column.name: pa.nulls(rows, pa.string()) for column in TABLES["tags"]}
    columns |= {"tag": cells, "pushed": pa.nulls(rows, pa.timestamp("us", tz="UTC"))}
    pq.write_table(pa.table(columns), tmp_path / "tags.parquet", compression="zstd")
    assert (tmp_path / "tags.parquet").stat().st_size < 1_000_000
    command = [sys.executable, "-c", LOAD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert "is damaged" in done.stderr
    assert int(done.stdout) < 500_000_000
