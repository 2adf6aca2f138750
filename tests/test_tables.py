from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dask.dataframe
import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regscope.errors import NotAStore, StoreError
from regscope.schema import TABLES, TIME, Column, make_table
from regscope.tables import Snapshot, is_saved_snapshot
from tests.test_text import HOSTILE, Collector

WHEN = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
ONE, TWO, THREE = ("sha256:" + letter * 64 for letter in "123")
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "tags": [
        ("team/app", "1.0", ONE, None, WHEN, datetime(2024, 6, 7, tzinfo=UTC)),
        ("team/app", "latest", TWO, None, None, None),
        ("b", f"sha256-{'1' * 64}.sig", TWO, ONE, None, None),
    ],
    "manifests": [
        (ONE, "m", "image", 500, THREE, None, None, "linux", "arm64", "v8", WHEN, 2, 2**40),
        (TWO, "m", "index", 700, None, None, None, None, None, None, None, None, None),
    ],
    "placements": [
        ("team/app", ONE, "tag", datetime(2024, 1, 2, tzinfo=UTC), False, datetime(2024, 6, 8, tzinfo=UTC)),
        ("team/app", TWO, "tag", None, True, None),
        ("b", TWO, "tag", None, False, None),
    ],
    "platforms": [(TWO, ONE, "linux", "arm64", "v8", False)],
    "layers": [
        (ONE, 0, THREE, TWO, TWO, "l", 2**53 + 1, "ADD file"),
        (TWO, 0, THREE, None, None, "l", 2**53 + 1, None),
        (TWO, 1, ONE, None, None, "l", None, None),
    ],
    "blobs": [
        (THREE, "layer", 1_500_000, "l", False),
        (ONE, "manifest", 500, "m", False),
        (TWO, "layer", None, "f", True),
    ],
    "orphans": [(THREE, 5)],
    "history": [(ONE, 0, WHEN, "ADD file", None, False, THREE, 100), (ONE, 1, None, "CMD", "a comment", True, None, 0)],
    "labels": [(ONE, "config", key, str(value)) for key, value in HOSTILE.items() if key != "lone surrogate"],
    "referrers": [(ONE, TWO, "application/vnd.sbom", "api")],
    "unpacked": [(THREE, TWO, "gzip", 100, 2048, 2)],
    "files": [
        (THREE, 0, "etc/passwd", "file", 10, 0o644, 0, 0, WHEN, None, None, None, "1" * 64, "text", None, None),
        (THREE, 1, "etc/motd", "file", 0, 0o644, 0, 0, None, None, None, None, None, None, None, "delete"),
    ],
    "packages": [(THREE, "var/lib/dpkg/status", "dpkg", "bash", "5.2-1", "amd64")],
    "problems": [("team/app", "1.0", "config", "it is not JSON")],
}  # fmt: skip


def snapshot(rows: dict[str, list[tuple[Any, ...]]] | None = None, **about: Any) -> Snapshot:
    given = {"location": "registry.example.com", "taken_at": WHEN, "sees_untagged": True, **about}
    return Snapshot.from_rows(ROWS if rows is None else rows, **given)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved snapshot to read, and to copy before it is damaged."""
    return snapshot().save(tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def saved_empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot({}).save(tmp_path_factory.mktemp("empty"))


def assert_same(found: Snapshot, expected: Snapshot) -> None:
    for name, table in expected.tables.items():
        pd.testing.assert_frame_equal(found.tables[name], table)
    for field in ("location", "taken_at", "sees_untagged", "filtered"):
        assert getattr(found, field) == getattr(expected, field)


def assert_schema(tables: dict[str, pd.DataFrame]) -> None:
    for name, columns in TABLES.items():
        table = tables[name]
        assert list(table.columns) == [column.name for column in columns]
        assert isinstance(table.index, pd.RangeIndex)
        for column in columns:
            dtype = table[column.name].dtype
            assert str(dtype) == column.dtype, f"{name}.{column.name}"
            if isinstance(dtype, pd.CategoricalDtype):
                assert str(dtype.categories.dtype) == "str", f"{name}.{column.name}"


# --- the schema -------------------------------------------------------------------------------------------------------


def test_every_column_says_what_it_means_and_every_size_its_unit() -> None:
    for name, columns in TABLES.items():
        assert len({column.name for column in columns}) == len(columns)
        for column in columns:
            assert column.meaning, f"{name}.{column.name}"
            assert (column.unit == "bytes") is (column.name in {"size", "image_size", "tar_size"}), (
                f"{name}.{column.name}"
            )


def test_the_grain_of_every_table_comes_first() -> None:
    assert [columns[0].name for columns in TABLES.values()] == [
        "repository", "digest", "repository", "index_digest", "digest", "digest", "digest",
        "digest", "digest", "subject", "layer_digest", "layer_digest", "layer_digest", "repository",
    ]  # fmt: skip


# --- make_table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_has_the_dtypes_of_a_full_one(name: str) -> None:
    empty, full = make_table(name, []), make_table(name, ROWS[name])
    assert len(empty) == 0
    assert len(full) == len(ROWS[name])
    assert_schema({**snapshot().tables, name: empty})
    assert_schema({**snapshot().tables, name: full})


def test_absent_values_stay_absent_in_every_kind_of_column() -> None:
    row = make_table("manifests", ROWS["manifests"]).loc[1]
    assert [bool(pd.isna(row[name])) for name in ("config_digest", "os", "created", "n_layers", "image_size")] == [
        True
    ] * 5
    assert bool(make_table("history", ROWS["history"])["comment"].isna()[0])
    only_absent = make_table("tags", [("r", None, "d", None, None, None)])
    assert_schema({**snapshot().tables, "tags": only_absent})


def test_large_sizes_are_exact_beside_absent_ones() -> None:
    sizes = make_table("layers", ROWS["layers"])["size"]
    assert list(sizes.dropna()) == [2**53 + 1, 2**53 + 1]
    assert make_table("blobs", [(ONE, "layer", 2**63 - 1, "l", False)])["size"][0] == 2**63 - 1


def test_times_are_utc_to_the_microsecond_to_the_year_9999() -> None:
    ends = [datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(2, 1, 1, tzinfo=UTC)]
    times = make_table("history", [(ONE, 0, when, "x", None, False, None, 0) for when in ends])["created"]
    assert [time.to_pydatetime() for time in times] == ends
    assert str(times.dtype) == TIME


def test_categories_are_shared_and_keep_the_order_of_their_first_row() -> None:
    names = [("b", "1"), ("a", "1"), ("b", "2")]
    repositories = make_table("tags", [(name, tag, ONE, None, None, None) for name, tag in names])["repository"]
    assert list(repositories) == ["b", "a", "b"]
    assert list(repositories.cat.categories) == ["b", "a"]


@pytest.mark.parametrize(
    "rows",
    [[("r", "t", "d")], [("r", "t", "d", None, None, None, "more")], [("r", "t", "d", None, None, None), ("r",)]],
)
def test_a_row_with_too_few_or_too_many_cells_is_refused(rows: list[tuple[Any, ...]]) -> None:
    with pytest.raises(ValueError, match=r"zip|columns|shorter|longer"):
        make_table("tags", rows)


def test_a_number_that_must_be_there_may_not_be_absent() -> None:
    with pytest.raises((TypeError, ValueError)):
        make_table("files", [(THREE, 0, "a", "file", None, 0, 0, 0, *[None] * 8)])


def test_rows_may_come_from_a_generator() -> None:
    assert len(make_table("tags", (row for row in ROWS["tags"]))) == 3


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_kept_as_it_is_where_it_is_text_at_all(value: object) -> None:
    row = make_table("labels", [(ONE, "config", str(value), str(value))]).loc[0]
    assert row["key"] == row["value"]
    if "surrogate" not in str(value) and str(value).isascii():
        assert row["value"] == str(value)


def test_a_name_that_is_not_utf8_becomes_readable_and_stays_distinct() -> None:
    names = [b"caf\xe9".decode("utf-8", "surrogateescape"), b"caf\xe8".decode("utf-8", "surrogateescape"), "café", None]
    tags = make_table("tags", [(name, name, ONE, None, None, None) for name in names])
    assert list(tags["tag"][:3]) == list(tags["repository"][:3]) == ["caf\\udce9", "caf\\udce8", "café"]
    assert bool(tags["tag"].isna()[3])
    assert_schema({**snapshot().tables, "tags": tags})


# --- Snapshot ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_of_nothing_has_every_table_with_its_dtypes() -> None:
    empty = snapshot({})
    assert_schema(empty.tables)
    assert "repositories  0" in repr(empty)
    assert "0 bytes in 0 blobs" in repr(empty)


def test_a_snapshot_is_frozen_and_equal_only_to_itself() -> None:
    one, other = snapshot(), snapshot()
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.location = "elsewhere"  # type: ignore[misc]
    same = one
    assert one == same
    assert one != other
    assert len({one, other}) == 2


def test_the_facts_count_what_is_there() -> None:
    facts = snapshot().facts()
    assert (facts["repositories"], facts["tags"], facts["images"], facts["indexes"]) == ("2", "3", "1", "1")
    assert facts["stored"] == "1.5 MB in 2 blobs"  # the foreign one takes no room
    assert facts["shared"].startswith("9.0 PB more")


def test_a_layer_that_repeats_in_one_image_is_not_sharing() -> None:
    twice = snapshot({"layers": [(ONE, at, THREE, None, None, "l", 100, None) for at in (0, 1)]})
    assert twice.facts()["shared"].startswith("0 bytes more")


@pytest.mark.parametrize(
    ("what", "about", "complete"),
    [
        (None, {}, True),
        ("config", {}, True),
        ("manifest", {}, False),
        ("tag list", {}, False),
        ("referrers", {}, False),
        ("layer", {}, False),
        (None, {"sees_untagged": False}, False),
        (None, {"filtered": ("tags",)}, False),
    ],
)
def test_a_snapshot_knows_whether_a_blob_may_be_kept_by_what_it_did_not_see(
    what: str | None, about: dict[str, bool], complete: bool
) -> None:
    rows = {"problems": [("app", "1", what, "why")]} if what else {}
    assert bool(snapshot(rows, **about).sees_everything) is complete


def test_the_notes_say_what_the_numbers_leave_out() -> None:
    assert snapshot({}).notes() == []
    notes = " ".join(snapshot(sees_untagged=False, filtered=("tags",)).notes())
    assert "1 thing could not be read" in notes
    assert "upper bounds" in notes
    assert "Only a part" in notes


def test_a_hostile_location_reaches_neither_the_notebook_nor_the_terminal() -> None:
    hostile = snapshot(location="<script>alert(1)</script>\x1b[2J")
    assert "\x1b" not in repr(hostile)
    assert "script" not in Collector(hostile._repr_html_()).tags
    assert "<script>alert(1)</script> [2J" in Collector(hostile._repr_html_()).text


# --- save and load ----------------------------------------------------------------------------------------------------


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    original = snapshot(filtered=("tags",), sees_untagged=False)
    folder = original.save(tmp_path / "deep" / "er")
    assert folder == tmp_path / "deep" / "er"
    assert_same(Snapshot.load(folder), original)
    assert_same(Snapshot.load(str(folder)), original)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name}.parquet" for name in TABLES), "snapshot.json"]
    )


def test_empty_tables_keep_their_dtypes_through_a_file(tmp_path: Path) -> None:
    empty = snapshot({})
    loaded = Snapshot.load(empty.save(tmp_path))
    assert_schema(loaded.tables)
    assert_same(loaded, empty)


arbitrary_text = st.none() | st.text(max_size=30) | st.sampled_from(["", "NA", "nan", "None", "null", "\x00", "\ud800"])
arbitrary_time = st.none() | st.datetimes(min_value=datetime(2, 1, 2), max_value=datetime(9999, 12, 30)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "category": arbitrary_text,
    "str": arbitrary_text,
    "int64": st.integers(-(2**63), 2**63 - 1),
    "Int64": st.none() | st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    TIME: arbitrary_time,
}


@settings(max_examples=12, deadline=None)
@given(st.fixed_dictionaries({}, optional={
    name: st.lists(st.tuples(*(CELLS[column.dtype] for column in columns)), max_size=3)
    for name, columns in TABLES.items()
}))  # fmt: skip
def test_arbitrary_rows_survive_saving_and_loading(rows: dict[str, list[tuple[Any, ...]]]) -> None:
    original = snapshot(rows)
    assert_schema(original.tables)
    for name, columns in TABLES.items():
        for at, row in enumerate(rows.get(name, [])):
            assert_cells(columns, row, original.tables[name].loc[at])
    with tempfile.TemporaryDirectory() as folder:
        assert_same(Snapshot.load(original.save(folder)), original)


def assert_cells(columns: tuple[Column, ...], row: tuple[Any, ...], found: Any) -> None:
    for column, cell in zip(columns, row, strict=True):
        if cell is None:
            assert bool(pd.isna(found[column.name]))
        elif cell == "\ud800":
            assert found[column.name] == "\\ud800"
        else:
            assert found[column.name] == cell


@pytest.mark.parametrize("name", TABLES)
def test_pandas_duckdb_and_dask_read_the_same_rows(saved: Path, name: str) -> None:
    path = saved / f"{name}.parquet"
    expected = plain_rows(make_table(name, ROWS[name]))
    assert plain_rows(pd.read_parquet(path)) == expected
    assert duckdb_rows(path) == expected
    assert dask_rows(path) == expected


@pytest.mark.parametrize("name", TABLES)
def test_pandas_duckdb_and_dask_read_an_empty_table(saved_empty: Path, name: str) -> None:
    path = saved_empty / f"{name}.parquet"
    names = [column.name for column in TABLES[name]]
    assert list(pd.read_parquet(path).columns) == names
    with duckdb.connect() as database:
        assert database.read_parquet(str(path)).columns == names
    assert duckdb_rows(path) == dask_rows(path) == []


def plain_rows(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Rows of Python's own values, with None for what is absent."""
    return [tuple(map(plain_cell, row)) for row in table.itertuples(index=False)]


def plain_cell(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, datetime):
        return pd.Timestamp(value).tz_convert("UTC").to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def duckdb_rows(path: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        # Times as numbers: DuckDB's own conversion to Python wants a package for time zones.
        names = database.read_parquet(str(path)).columns
        types = dict(zip(names, map(str, database.read_parquet(str(path)).types), strict=True))
        chosen = [f'epoch_us("{name}")' if types[name].startswith("TIMESTAMP") else f'"{name}"' for name in names]
        rows = database.sql(f"SELECT {', '.join(chosen)} FROM read_parquet('{path}')").fetchall()
    times = [types[name].startswith("TIMESTAMP WITH TIME ZONE") for name in names]
    return [
        tuple(
            datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=cell) if is_time and cell is not None else cell
            for cell, is_time in zip(row, times, strict=True)
        )
        for row in rows
    ]


def dask_rows(path: Path) -> list[tuple[Any, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own, about the pandas that it calls
        table: pd.DataFrame = dask.dataframe.read_parquet(path).compute(scheduler="sync")
    return plain_rows(table)


def test_a_sum_in_duckdb_is_the_sum_in_pandas_to_the_byte(saved: Path) -> None:
    path = saved / "layers.parquet"
    with duckdb.connect() as database:
        rows = database.execute(f"SELECT sum(size) FROM read_parquet('{path}')").fetchall()
    assert rows[0][0] == snapshot().layers["size"].sum() == 2 * (2**53 + 1)


@pytest.mark.parametrize("name", ["tags", "blobs", "platforms", "files", "problems"])
def test_tables_that_another_program_wrote_anew_load_with_our_dtypes(tmp_path: Path, name: str) -> None:
    for rows in (ROWS, {}):
        original = snapshot(rows)
        original.save(tmp_path)
        rewritten = tmp_path / "rewritten"
        with duckdb.connect() as database:
            database.sql(f"COPY (FROM read_parquet('{tmp_path / name}.parquet')) TO '{rewritten}' (FORMAT parquet)")
        rewritten.replace(tmp_path / f"{name}.parquet")
        loaded = Snapshot.load(tmp_path)
        assert_schema(loaded.tables)
        assert plain_rows(loaded.tables[name]) == plain_rows(original.tables[name])


def test_a_column_that_a_newer_version_added_does_no_harm(tmp_path: Path) -> None:
    original = snapshot()
    original.save(tmp_path)
    original.tags.assign(new=1).to_parquet(tmp_path / "tags.parquet")
    (tmp_path / "new.parquet").write_bytes(b"")
    assert_same(Snapshot.load(tmp_path), original)


def test_saving_again_replaces_what_was_saved(tmp_path: Path) -> None:
    snapshot().save(tmp_path)
    empty = snapshot({}, location="elsewhere")
    empty.save(tmp_path)
    assert_same(Snapshot.load(tmp_path), empty)


@pytest.mark.parametrize("kind", ["absent", "empty", "file", "other"])
def test_what_is_no_saved_snapshot_is_said_to_be_none(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    if kind == "file":
        folder.write_text("{}")
    elif kind != "absent":
        folder.mkdir()
    if kind == "other":
        (folder / "snapshot.json").mkdir()
    assert not is_saved_snapshot(folder)
    with pytest.raises(NotAStore, match="not a saved snapshot") as caught:
        Snapshot.load(folder)
    assert str(folder) in caught.value.message
    assert "save" in caught.value.next_step


ABOUT = {"location": "x", "taken_at": WHEN.isoformat(), "sees_untagged": True, "filtered": []}


@pytest.mark.parametrize(
    "about",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"5",
        b"[" * 100_000,
        b"{}",
        json.dumps({**ABOUT, "taken_at": "yesterday"}).encode(),
        json.dumps({**ABOUT, "taken_at": 5}).encode(),
        json.dumps({name: value for name, value in ABOUT.items() if name != "filtered"}).encode(),
    ],
)
def test_a_damaged_description_is_a_store_error(tmp_path: Path, saved: Path, about: bytes) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    (tmp_path / "snapshot.json").write_bytes(about)
    with pytest.raises(StoreError, match="is damaged") as caught:
        Snapshot.load(tmp_path)
    assert not isinstance(caught.value, NotAStore)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        *(("missing", name) for name in TABLES),
        *((damage, "blobs") for damage in ("empty", "cut", "garbage", "flipped", "folder")),
    ],
)
def test_a_damaged_table_is_a_store_error(tmp_path: Path, saved: Path, damage: str, name: str) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    path = tmp_path / f"{name}.parquet"
    raw = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        middle = len(raw) // 2
        spoilt = {"empty": b"", "cut": raw[:middle], "garbage": b"PAR1" + b"x" * 99, "flipped": raw[:-9] + raw[-8:]}
        path.write_bytes(spoilt[damage])
    with pytest.raises(StoreError, match="is damaged") as caught:
        Snapshot.load(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("name", "column", "cells"),
    [
        ("tags", "tag", None),
        ("layers", "position", ["first"]),
        ("layers", "position", [None]),
        ("layers", "size", ["large"]),
        ("layers", "size", [1.5]),
        ("blobs", "foreign", ["no"]),
        ("blobs", "foreign", [None]),
        ("history", "created", ["yesterday"]),
        ("history", "created", [{"year": 2024}]),
    ],
)
def test_a_column_that_is_missing_or_of_another_kind_is_a_store_error(
    tmp_path: Path, saved: Path, name: str, column: str, cells: list[Any] | None
) -> None:
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    row = snapshot().tables[name].iloc[:1]
    wrong = row.drop(columns=column) if cells is None else row.assign(**{column: pd.Series(cells, dtype=object)})
    wrong.to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(StoreError, match="is damaged"):
        Snapshot.load(tmp_path)
