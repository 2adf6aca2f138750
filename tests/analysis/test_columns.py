"""Columns of many names: numbered, spelt out, put in order."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.columns import in_order, numbered, strings


def test_values_are_numbered_by_their_position_and_what_is_absent_or_unknown_by_minus_one() -> None:
    index = pd.Index(["a", "b", "c"], dtype="str")
    for dtype in ("str", "category", object):
        column = pd.Series(["c", None, "a", "x", "c"], dtype=dtype)
        assert [found.tolist() for found in numbered(index, column, column[:1])] == [[2, -1, 0, -1, 2], [2]]
    assert numbered(index, pd.Series([], dtype="category"))[0].tolist() == []
    assert numbered(index, pd.Series([None, None], dtype="category"))[0].tolist() == [-1, -1]
    assert numbered(index[:0], pd.Series(["a"], dtype="category"))[0].tolist() == [-1]


def test_what_is_absent_stays_absent_in_the_text_of_a_column() -> None:
    found = strings(pd.Series(["b", None, "a"], dtype="category"))
    assert found.dtype == "str"
    assert found[[0, 2]].tolist() == ["b", "a"]
    assert found.isna().tolist() == [False, True, False]


def test_a_table_is_sorted_by_several_columns_with_the_absent_last() -> None:
    table = pd.DataFrame({"n": [1, 2, 2, 1], "s": ["x", "b", "a", None]})
    found = in_order(table, {"n": "descending", "s": "ascending"})
    assert found["s"].tolist()[:3] == ["a", "b", "x"]
    assert found["n"].tolist() == [2, 2, 1, 1]
    assert found.index.tolist() == [0, 1, 2, 3]
