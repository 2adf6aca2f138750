"""Reading Parquet files from an untrusted source: their content is bounded and checked before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from regscope import text
from regscope.errors import StoreError

ROWS_OF_A_BYTE = 16
"""Most rows for each byte of a file: no two rows of a table are the same, so each takes some room."""

EXPANSION = 200
"""Most bytes in memory for each byte of a file, beyond `SMALL`."""

SMALL = 64 * 2**20

_INTEGERS = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
_DAMAGES = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    pa.ArrowException,
)


@contextmanager
def readable(path: Path, next_step: str) -> Iterator[None]:
    """Raise any error of reading a Parquet file as a StoreError that names it; damaged files raise many kinds."""
    try:
        yield
    except _DAMAGES as error:
        raise StoreError(f"{path} is damaged: {text.plain(error, 300)}", next_step=next_step) from None


def column_names(path: Path) -> set[str]:
    """What the columns of a Parquet file are called.

    Raises:
        ValueError, ArrowException and others of `readable`: the file is damaged.
    """
    with pq.ParquetFile(path) as file:
        return set(file.schema_arrow.names)


def read_columns(path: Path, columns: Sequence[str], row_groups: Sequence[int] | None = None) -> pa.Table:
    """Some columns of a Parquet file, of all its row groups or some, in the order of `columns`.

    Raises:
        StoreError, ValueError, ArrowException and others of `readable`: the file is damaged, lacks a column, or has
            more rows or bytes than a file of its size can have.
    """
    with pq.ParquetFile(path) as file:
        size = path.stat().st_size
        groups = list(range(file.num_row_groups)) if row_groups is None else list(row_groups)
        _check_claims(file, size, columns, groups)
        table = _read(path, file, list(columns), groups, SMALL + EXPANSION * size)
    table.validate(full=True)
    return table.select(list(columns)).replace_schema_metadata(None)


def word_of_each_row_group(path: Path, column: str) -> Iterator[tuple[str, int]]:
    """For each row group, the one value that all of its rows have in a text column, and how many rows there are.

    It is read from the rows, not from the statistics: where those are damaged, Arrow ends the process.

    Raises:
        ValueError, ArrowException and others of `readable`: a row group has several words there, or none.
    """
    with pq.ParquetFile(path, read_dictionary=[column]) as file:
        numbers = range(file.num_row_groups)
        _check_claims(file, path.stat().st_size, [column], numbers)
        for number in numbers:
            rows = file.read_row_group(number, columns=[column], use_threads=False).column(0)
            words = pc.unique(rows)
            if len(words) != 1 or not words[0].is_valid:
                raise ValueError(f"row group {number} has {text.count(len(words), 'value')} of {column}")
            yield words[0].as_py(), len(rows)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """As a DataFrame in which integers stay integers, whether or not some are absent."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=_INTEGERS.get)
    return frame


def _check_claims(file: pq.ParquetFile, size: int, columns: Sequence[str], groups: Sequence[int]) -> None:
    """Refuse a file by its footer, before any of its pages is read."""
    for name in columns:
        found = file.schema_arrow.get_all_field_indices(name)
        if len(found) != 1:
            raise ValueError(f"it has {text.count(len(found), 'column')} called {name}")
        kind = file.schema_arrow.field(name).type
        if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
            raise TypeError(f"the column {name} holds {kind}")
    about = [file.metadata.row_group(group) for group in groups]
    rows, unpacked = (sum(getattr(group, what) for group in about) for what in ("num_rows", "total_byte_size"))
    if rows > ROWS_OF_A_BYTE * size or any(group.num_rows < 0 for group in about):
        raise ValueError(f"its footer states {rows:,} rows in a file of {size:,} bytes")
    if unpacked > SMALL + EXPANSION * size:
        raise ValueError(f"its footer states {unpacked:,} unpacked bytes in a file of {size:,} bytes")


def _read(path: Path, file: pq.ParquetFile, columns: list[str], groups: list[int], limit: int) -> pa.Table:
    """Read the row groups as a whole where they surely fit into `limit` bytes; else batch by batch up to it."""
    rows = sum(file.metadata.row_group(group).num_rows for group in groups)
    repeated = _longest_words(path, [name for name in columns if _is_text(file, name)], groups) if rows else 0
    if rows * repeated <= limit:
        return file.read_row_groups(groups, columns=columns, use_threads=True)
    pieces, taken = [], 0
    for piece in file.iter_batches(max(1, limit // repeated), row_groups=groups, columns=columns):
        taken += piece.nbytes
        if taken > limit:
            raise ValueError(f"it holds more than {limit:,} bytes, which a file of its size cannot")
        pieces.append(piece)
    return pa.Table.from_batches(pieces).unify_dictionaries()


def _is_text(file: pq.ParquetFile, name: str) -> bool:
    kind = file.schema_arrow.field(name).type
    return any(is_such(kind) for is_such in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _longest_words(path: Path, columns: list[str], groups: list[int]) -> int:
    """The most bytes of a row whose values are in dictionaries: a page may repeat such a value any number of times.

    Values outside of dictionaries take room in the file.
    """
    longest = dict.fromkeys(columns, 0)
    with pq.ParquetFile(path, read_dictionary=columns) as file:
        for group in groups if columns else ():
            first = next(file.iter_batches(1, row_groups=[group], columns=columns), None)
            if first is None:
                continue
            for name in columns:
                words = first.column(name).dictionary
                longest[name] = max(longest[name], pc.max(pc.binary_length(words)).as_py() or 0)
    return sum(longest.values())
