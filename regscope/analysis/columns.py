"""Columns of millions of names, without a Python object for each: their numbers, their text, their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regscope.analysis.relation import Ints


def numbered(index: pd.Index[str], *columns: pd.Series[Any]) -> list[Ints]:
    """For each column, the position in `index` of each of its values; -1 for what is absent or not there.

    Hashing a long `index` takes the most time: give it all columns at once.
    """
    found = [column.astype("category").cat for column in columns]
    names = pd.Index([], dtype="str").append([each.categories.astype("str") for each in found])
    positions = np.asarray(pc.index_in(pa.array(names), value_set=pa.array(index)).fill_null(-1), dtype=np.int64)
    ends = np.cumsum([len(each.categories) for each in found])
    parts = np.split(positions, ends[:-1])
    # The code of what is absent is -1 as well: it takes the last position.
    return [np.append(part, -1)[each.codes.to_numpy()] for part, each in zip(parts, found, strict=True)]


def strings(column: pd.Series[Any]) -> pd.Index[str]:
    """The text of a column of categories; what is absent stays absent."""
    categories: pd.Index[str] = column.cat.categories.astype("str")
    return categories.take(column.cat.codes.to_numpy(), allow_fill=True, fill_value=np.nan)


def in_order(table: pd.DataFrame, order: Mapping[str, Literal["ascending", "descending"]]) -> pd.DataFrame:
    """`table` sorted by these columns, the first of them first, and numbered anew; what is absent comes last."""
    keys = pa.Table.from_pandas(table[list(order)], preserve_index=False)
    return table.take(pc.sort_indices(keys, list(order.items())).to_numpy()).reset_index(drop=True)
