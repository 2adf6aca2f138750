"""Operations on columns of millions of names without a Python object for each: numbering, text, order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from regscope.arrays import Ints, joined, looked_up

Words: TypeAlias = npt.NDArray[np.object_]


def numbered(index: pd.Index[str], *columns: pd.Series[Any]) -> list[Ints]:
    """For each column, the position in `index` of each of its values; -1 for absent values and those not in `index`.

    Hashing a long `index` takes the most time, so pass all columns in one call.

    >>> index = pd.Index(["a", "b", "c"], dtype="str")
    >>> numbered(index, pd.Series(["c", None, "x", "a"], dtype="category"), pd.Series(["b"], dtype="category"))
    [array([ 2, -1, -1,  0]), array([1])]
    """
    found = [column.astype("category").cat for column in columns]
    names = pd.Index([], dtype="str").append([each.categories.astype("str") for each in found])
    positions = np.asarray(pc.index_in(pa.array(names), value_set=pa.array(index)).fill_null(-1), dtype=np.int64)
    ends = np.cumsum([len(each.categories) for each in found])
    parts = np.split(positions, ends[:-1])
    return [looked_up(part, each.codes.to_numpy(), absent=-1) for part, each in zip(parts, found, strict=True)]


def numbered_parts(parts: Sequence[pa.DictionaryArray]) -> tuple[Ints, pa.Array]:
    """The number of each value of a column that was read in parts, and the values; absent values have the number -1."""
    column = pa.chunked_array(parts, pa.dictionary(pa.int32(), pa.large_string())).unify_dictionaries()
    values = column.chunk(0).dictionary if column.num_chunks else pa.array([], pa.large_string())
    numbers = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return joined(numbers), values


def as_arrow(column: pd.Series[Any]) -> pa.Array:
    """A column of text as one Arrow array."""
    array = pa.array(column.array, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def strings(column: pd.Series[Any]) -> pd.Index[str]:
    """The values of a categorical column as text; absent values stay absent."""
    categories: pd.Index[str] = column.cat.categories.astype("str")
    return categories.take(column.cat.codes.to_numpy(), allow_fill=True, fill_value=np.nan)


def taken(column: pd.Series[Any], rows: Ints) -> pd.Categorical:
    """These rows of a categorical column, absent for -1; only the categories that occur are kept, sorted."""
    found = column.array.take(rows, allow_fill=True).remove_unused_categories()
    names = pd.Index(found.categories, dtype="str")  # the categories of an empty column have the dtype object
    ordered: pd.Categorical = found.rename_categories(names).reorder_categories(names.sort_values())
    return ordered


def ranks(names: pd.Index[str]) -> Ints:
    """The rank of each name in sorted order, from 1; equal names have the same rank; absent names come last.

    >>> ranks(pd.Index(["c", None, "a", "c", "b"], dtype="str"))
    array([3, 4, 1, 3, 2])
    """
    places: Ints = pc.rank(pa.array(names, pa.large_string()), tiebreaker="dense").to_numpy().astype(np.int64)
    return places


def in_order(table: pd.DataFrame, order: Mapping[str, Literal["ascending", "descending"]]) -> pd.DataFrame:
    """`table` sorted by these columns, the first of them first, with a new index; absent values come last."""
    keys = pa.Table.from_pandas(table[list(order)], preserve_index=False)
    return table.take(pc.sort_indices(keys, list(order.items())).to_numpy()).reset_index(drop=True)
