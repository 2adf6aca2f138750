"""Two images side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

import regscope as rs
from regscope.tables import Snapshot
from regscope.views.explorer.comparison import COLUMNS, Comparison
from regscope.views.explorer.snapshot_views import SnapshotViews
from tests.views.explorer.code import gives


@pytest.fixture
def comparison(inside: Snapshot) -> Comparison:
    made = Comparison(SnapshotViews(inside))
    made.before.image, made.after.image = "team/nightly:0", "team/nightly:2"
    return made


def test_it_says_what_to_do_until_both_are_picked(inside: Snapshot) -> None:
    comparison = Comparison(SnapshotViews(inside))
    assert comparison.diff is None
    assert "Pick two images to compare." in comparison.answer.html
    comparison.before.image = "team/nightly:0"
    assert comparison.diff is None
    assert comparison.listing is None


def test_the_answer_is_that_of_diff(comparison: Comparison, inside: Snapshot) -> None:
    expected = rs.diff(inside, "team/nightly:0", "team/nightly:2")
    assert comparison.diff is not None
    assert comparison.diff.facts() == expected.facts()
    assert repr(comparison.diff) == repr(expected)
    assert "team/nightly:2" in comparison.answer.html


@pytest.mark.parametrize("part", COLUMNS)
def test_every_table_of_it_can_be_seen_with_its_code(comparison: Comparison, inside: Snapshot, part: str) -> None:
    comparison.answer.do("part", part)
    assert comparison.listing is not None
    assert gives(comparison.listing.code, inside, comparison.listing.table)


def test_images_that_cannot_be_compared_are_told(inside: Snapshot) -> None:
    comparison = Comparison(SnapshotViews(inside))
    comparison.answer.a, comparison.answer.b = "team/api:1.0", "no/such:image"
    assert "no/such:image" in comparison.answer.html
    assert comparison.diff is None


def test_without_files_it_says_so_and_with_a_store_it_reads_them(layout: Path) -> None:
    store = rs.open(f"oci:{layout}")
    comparison = Comparison(SnapshotViews(rs.scan(store)), store)
    comparison.before.image, comparison.after.image = "app:1.0", "app:1.1"
    comparison.answer.do("part", "files")
    assert comparison.listing is not None
    assert "The files were not read." in comparison.listing.html
    seen: list[float | None] = []
    comparison.answer.observe(lambda change: seen.append(change["new"]), "reading")
    comparison.answer.do("read")
    assert seen[0] == 0
    assert seen[-2:] == [1, None]
    assert comparison.listing.table["path"].tolist() == ["srv/app.py"]
    assert 'data-do="read"' not in comparison.answer.html
