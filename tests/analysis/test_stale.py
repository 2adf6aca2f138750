"""What counts as old, and what does not."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from regscope.analysis.stale import stale
from regscope.errors import InvalidInput
from tests.lab.drawn_snapshots import NOW, digest
from tests.lab.snapshots import CONFIG_SIZE, MANIFEST_SIZE, Registry

DAY = timedelta(days=1)


def aged(**ages: timedelta | None) -> Registry:
    """One image for each age, under a tag of the same name."""
    made = Registry(base=100)
    for tag, age in ages.items():
        made.image(tag, ["base", f"own {tag}"], f"r:{tag}", created=None if age is None else NOW - age)
    return made


def test_old_is_what_is_older_than_the_limit_and_not_what_is_just_as_old() -> None:
    made = aged(before=30 * DAY + timedelta(microseconds=1), on=30 * DAY, after=30 * DAY - timedelta(microseconds=1))
    assert stale(made.snapshot(), older_than="30d")["tag"].tolist() == ["before"]


def test_the_oldest_comes_first_with_its_age_and_its_weight() -> None:
    table = stale(aged(young=DAY, old=300 * DAY, older=400 * DAY).snapshot())
    assert table["tag"].tolist() == ["older", "old"]
    assert table["age"].tolist() == [pd.Timedelta(days=400), pd.Timedelta(days=300)]
    assert table["created"].tolist() == [NOW - 400 * DAY, NOW - 300 * DAY]
    own = MANIFEST_SIZE + CONFIG_SIZE + 1
    assert table[["unique", "exclusive"]].to_numpy().tolist() == [[own + 100, own]] * 2


def test_an_unknown_age_is_never_old() -> None:
    assert stale(aged(unknown=None).snapshot(), older_than="0d").empty


@pytest.mark.parametrize("year", [1970, 1980, 2001])
def test_a_time_before_there_were_images_tells_no_age(year: int) -> None:
    made = Registry()
    made.image("reproducible", ["layer"], "r:1", created=datetime(year, 1, 1, tzinfo=UTC))
    assert stale(made.snapshot()).empty


def test_the_age_is_counted_from_when_the_snapshot_was_taken() -> None:
    snap = aged(image=DAY).snapshot()
    assert stale(snap, older_than="1d").empty
    later = dataclasses.replace(snap, taken_at=NOW + timedelta(seconds=1))
    assert stale(later, older_than="1d")["age"].tolist() == [DAY + timedelta(seconds=1)]


def test_what_was_built_after_the_snapshot_is_not_old() -> None:
    assert stale(aged(future=-DAY).snapshot(), older_than="0d").empty


@pytest.mark.parametrize(("newest", "is_old"), [(10 * DAY, False), (100 * DAY, True), (None, True)])
def test_an_index_is_as_old_as_its_newest_image(newest: timedelta | None, is_old: bool) -> None:
    made = Registry()
    children = [
        made.image("one", ["a"], created=NOW - 200 * DAY),
        made.image("two", ["b"], created=None if newest is None else NOW - newest),
    ]
    for child in children:
        made.place("r", child)
    made.index("index", children, "r:1")
    assert stale(made.snapshot(), older_than="30d")["tag"].tolist() == ["1"] * is_old


def test_a_nested_index_is_as_old_as_its_newest_image() -> None:
    made = Registry()
    image = made.image("image", ["a"], created=NOW - 10 * DAY)
    inner = made.index("inner", [image])
    made.index("outer", [inner, digest("not there")], "r:1")
    made.place("r", image)
    made.place("r", inner)
    assert stale(made.snapshot(), older_than="9d")["age"].tolist() == [10 * DAY]
    assert stale(made.snapshot(), older_than="11d").empty


def test_a_tag_whose_manifest_is_missing_has_no_age() -> None:
    made = aged(old=400 * DAY)
    made.rows["tags"].append(("r", "lost", digest("lost"), None, None, None))
    assert stale(made.snapshot())["tag"].tolist() == ["old"]


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        *(("2w", 14 * DAY), ("14d", 14 * DAY), ("14D", 14 * DAY), ("14 d", 14 * DAY), (" 336h ", 14 * DAY)),
        *(("90m", timedelta(minutes=90)), ("45s", timedelta(seconds=45)), ("0d", timedelta(0))),
        *((timedelta(days=14), 14 * DAY), (pd.Timedelta(days=14), 14 * DAY)),
    ],
)
def test_a_duration_is_a_number_and_a_unit_or_a_timedelta(written: str | timedelta, limit: timedelta) -> None:
    made = aged(older=limit + timedelta(seconds=1), just=limit)
    assert stale(made.snapshot(), older_than=written)["tag"].tolist() == ["older"]


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "",
            " ",
            "d",
            "30",
            "30.5",
            "abc",
            "30 parsecs",
            "1M",
            "1y",
            "-5d",
            "nan",
            "NaT",
            "inf",
            "1e3d",
            "5d 3h 2",
            "٣d",
        ),
        *("999999999d", "9" * 30 + "d", "9" * 5000 + "d", timedelta(days=-1), timedelta.max, None, 30, 1.5, pd.NaT),
    ],
)
def test_what_is_no_duration_is_an_error(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="is not a duration"):
        stale(aged(image=DAY).snapshot(), older_than=wrong)
