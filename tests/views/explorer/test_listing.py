"""A table to search, sort and pick from."""

from __future__ import annotations

import pandas as pd
import pytest

from regscope.tables import Snapshot
from regscope.views.explorer.image_picker import ImagePicker, image_picker
from tests.views.explorer.code import gives


@pytest.fixture
def picker(large: Snapshot) -> ImagePicker:
    return image_picker(large, rows=10)


def shown(picker: ImagePicker) -> int:
    return picker.html.count('data-do="pick"')


def test_the_browser_gets_one_page(picker: ImagePicker) -> None:
    assert len(picker.table) > 300
    assert shown(picker) == 10
    assert f"1–10 of {len(picker.table):,}" in picker.html


def test_turning_pages_goes_through_all_rows_and_no_further(picker: ImagePicker) -> None:
    seen = 0
    for page in range(picker.pages):
        picker.do("page", str(page))
        seen += shown(picker)
    assert seen == len(picker.table)
    picker.do("page", "1000000")
    assert picker.page == picker.pages - 1
    picker.do("page", "-1")
    assert picker.page == 0


def test_searching_keeps_the_rows_with_the_text_in_whatever_case(picker: ImagePicker, large: Snapshot) -> None:
    picker.do("search", "PAYMENTS/api")
    assert set(picker.tags["repository"]) == {"payments/api"}
    assert gives(picker.code, large, picker.table)


@pytest.mark.parametrize("said", ["(", ".*", "\\", "'", '"', "\u202e", "nothing has this"])
def test_what_is_searched_for_is_text_and_no_pattern(picker: ImagePicker, large: Snapshot, said: str) -> None:
    picker.do("search", said)
    assert picker.table.empty
    assert "No row matches the search." in picker.html
    assert gives(picker.code, large, picker.table)


def test_searching_goes_over_repository_and_tag_as_they_are_written_together(picker: ImagePicker) -> None:
    row = picker.frame.iloc[7]
    picker.do("search", f"{row['repository']}:{row['tag']}")
    assert row["tag"] in set(picker.table["tag"])


def test_searching_begins_at_the_first_page(picker: ImagePicker) -> None:
    picker.do("page", "3")
    picker.do("search", "a")
    assert picker.page == 0


def test_numbers_are_sorted_largest_first_and_then_the_other_way(picker: ImagePicker, large: Snapshot) -> None:
    picker.do("sort", "n_layers")
    assert picker.table["n_layers"].is_monotonic_decreasing
    assert 'aria-sort="descending"' in picker.html
    picker.do("sort", "n_layers")
    assert picker.table["n_layers"].is_monotonic_increasing
    assert gives(picker.code, large, picker.table)


def test_words_are_sorted_from_a_to_z(picker: ImagePicker) -> None:
    picker.do("sort", "tag")
    assert picker.table["tag"].is_monotonic_increasing


def test_what_cannot_be_sorted_by_changes_nothing(picker: ImagePicker) -> None:
    picker.do("sort", "no such column")
    assert picker.sort == ""


def test_searching_and_sorting_together_are_one_line_of_code(picker: ImagePicker, large: Snapshot) -> None:
    picker.do("search", "search/")
    picker.do("sort", "created")
    assert "\n" not in picker.code
    assert gives(picker.code, large, picker.table)


def test_the_picked_row_is_a_dataframe_and_marked(picker: ImagePicker) -> None:
    assert picker.selection.empty
    assert list(picker.selection.columns) == list(picker.table.columns)
    picker.do("pick", "4")
    pd.testing.assert_frame_equal(picker.selection, picker.table.iloc[[4]])
    assert picker.html.count('aria-pressed="true"') == 1


def test_a_picked_row_stays_picked_when_it_is_sorted_or_searched_away(picker: ImagePicker) -> None:
    picker.do("pick", "4")
    before = picker.selection
    picker.do("sort", "tag")
    picker.do("search", "nothing has this")
    pd.testing.assert_frame_equal(picker.selection, before)


def test_state_can_be_set_from_python(large: Snapshot) -> None:
    picker = image_picker(large, search="data/", sort="size", descending=True)
    assert picker.table["size"].is_monotonic_decreasing
    picker.search = ""
    assert len(picker.table) == len(picker.frame)
    assert 'value="data/"' not in picker.html
