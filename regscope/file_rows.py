"""The rows of the `files` table, by layer: in memory, or as a Parquet dataset where they do not fit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from regscope import text
from regscope.arrays import begins_run
from regscope.errors import NotAStore, StoreError
from regscope.parquet_tables import read_columns, readable, word_of_each_row_group
from regscope.schema import TABLES, conformed

if TYPE_CHECKING:
    import dask.dataframe

COLUMNS = tuple(column.name for column in TABLES["files"])
ROWS_AT_ONCE = 1_000_000
"""Rows of files that are held at a time, and in one row group: memory does not grow with the number of layers."""
_PART = re.compile(r"part-\d{5}\.parquet")
_NEXT_STEP = "Read the files again."


def part_name(number: int) -> str:
    """The file in which the rows of some layers are, from 0."""
    return f"part-{number:05}.parquet"


def is_part(path: Path) -> bool:
    """Whether a file is one of these parts, by its name."""
    return bool(_PART.fullmatch(path.name))


class FilesOnDisk:
    """The `files` table as a folder of Parquet files: each row group holds rows of one layer.

    Only the requested layers and columns are read; `frame` and `to_dask` give DataFrames.

    Raises:
        NotAStore: there is no such folder.
        StoreError: a file in it is damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise NotAStore(f"{self.folder} is not a folder of Parquet files")

    @cached_property
    def groups(self) -> dict[str, list[tuple[Path, int, int]]]:
        """By layer: the file, the number and the rows of each of its row groups, in order."""
        found: dict[str, list[tuple[Path, int, int]]] = defaultdict(list)
        for path in self.parts:
            with readable(path, _NEXT_STEP):
                for number, (layer, rows) in enumerate(word_of_each_row_group(path, "layer_digest")):
                    found[layer].append((path, number, rows))
        return dict(found)

    @property
    def parts(self) -> list[Path]:
        """The Parquet files, in order."""
        return sorted(self.folder.glob("*.parquet"))

    @property
    def columns(self) -> list[str]:
        """The table's columns."""
        return list(COLUMNS)

    def __len__(self) -> int:
        return sum(rows for groups in self.groups.values() for _, _, rows in groups)

    def frame(self, layers: Sequence[str] | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The rows of these layers, in this order, as a DataFrame: all rows and columns by default."""
        wanted = list(self.groups if layers is None else layers)
        chosen = list(columns or COLUMNS)
        tables = [self._read(path, numbers, chosen) for path, numbers in self._parts(wanted)]
        table = pa.concat_tables(tables) if tables else _empty(chosen)
        with readable(self.folder, _NEXT_STEP):  # invalid UTF-8 is found only here
            return conformed("files", table.to_pandas(), chosen)

    def head(self, rows: int = 5) -> pd.DataFrame:
        """The first rows."""
        return self.frame(list(self.groups)[:1]).head(rows)

    def to_dask(self) -> dask.dataframe.DataFrame:
        """The table as a Dask DataFrame (`pip install regscope[cluster]`)."""
        import dask.dataframe

        table: dask.dataframe.DataFrame = dask.dataframe.read_parquet(str(self.folder / "*.parquet"))
        return table

    def _parts(self, layers: Sequence[str]) -> Iterator[tuple[Path, list[int]]]:
        """Files with the numbers of their row groups; neighbours are read at once."""
        path: Path | None = None
        numbers: list[int] = []
        for layer in layers:
            for at, number, _ in self.groups.get(layer, ()):
                if path is not None and at != path:
                    yield path, numbers
                    numbers = []
                path = at
                numbers.append(number)
        if path is not None:
            yield path, numbers

    def _read(self, path: Path, numbers: Sequence[int], columns: Sequence[str]) -> pa.Table:
        with readable(path, _NEXT_STEP):
            return read_columns(path, columns, numbers)

    def __repr__(self) -> str:
        return text.facts(f"Files in {self.folder}", {"layers": f"{len(self.groups):,}", "rows": f"{len(self):,}"})

    def _repr_html_(self) -> str:
        facts = {"layers": f"{len(self.groups):,}", "rows": f"{len(self):,}"}
        return text.card(f"Files in {self.folder}", facts, ["frame(layers, columns) and to_dask() give DataFrames."])


def _empty(columns: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.array([], pa.string()) for name in columns})


class FileRows:
    """The rows of `files` by layer, with the requested columns, from memory or from disk.

    Args:
        files: `Snapshot.files`.
        columns: those to read.
    """

    def __init__(self, files: pd.DataFrame | FilesOnDisk, columns: Sequence[str]) -> None:
        self._files = files
        self._columns = list(columns)

    @cached_property
    def _spans(self) -> dict[str, tuple[int, int]]:
        """Of a table in memory: the first row of each layer, and the one after its last."""
        assert isinstance(self._files, pd.DataFrame)
        layers = self._files["layer_digest"].cat
        codes = layers.codes.to_numpy()
        starts = np.flatnonzero(begins_run(codes)).tolist()
        names = layers.categories
        return {names[codes[start]]: (start, end) for start, end in pairwise([*starts, len(codes)])}

    @property
    def layers(self) -> list[str]:
        """The layers that have rows."""
        return list(self._spans if isinstance(self._files, pd.DataFrame) else self._files.groups)

    def length(self, layer: str) -> int:
        """How many rows a layer has; 0 where it was not read."""
        if not isinstance(self._files, pd.DataFrame):
            return sum(rows for _, _, rows in self._files.groups.get(layer, ()))
        start, end = self._spans.get(layer, (0, 0))
        return end - start

    def of(self, *layers: str) -> pd.DataFrame:
        """The rows of these layers one after the other, in the order of their tars; none where one was not read."""
        if not isinstance(self._files, pd.DataFrame):
            return self._files.frame(layers, self._columns)
        spans = [self._spans.get(layer, (0, 0)) for layer in layers]
        if len(spans) == 1:
            return self._files[self._columns].iloc[slice(*spans[0])]
        return self._files[self._columns].iloc[np.concatenate([np.arange(0), *(np.arange(*span) for span in spans)])]

    def frames(self, layers: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """The rows of these layers, by default of all, whole layers at a time, in frames of about a million rows.

        All rows of a table in memory are one frame. There is at least one frame, if need be without rows.
        """
        if isinstance(self._files, pd.DataFrame) and layers is None:
            yield self._files[self._columns]
            return
        for together in self.batches(self.layers if layers is None else layers):
            yield self.of(*together)

    def batches(self, layers: Sequence[str]) -> Iterator[Sequence[str]]:
        """These layers in their order, as many at a time as have about a million rows; at least once some, or none."""
        start = rows = 0
        for end, layer in enumerate(layers):
            rows += self.length(layer)
            if rows >= ROWS_AT_ONCE:
                yield layers[start : end + 1]
                start, rows = end + 1, 0
        if start < len(layers) or not layers:
            yield layers[start:]


class FilesWriter:
    """Writes the Parquet files that `FilesOnDisk` reads, a layer at a time.

    Args:
        folder: a new or empty one.
    """

    _ROWS_OF_A_FILE = 2_000_000

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.iterdir()):
            raise StoreError(f"{self.folder} is not empty", next_step="Name a new folder.")
        self._writer: pq.ParquetWriter | None = None
        self._files = self._rows = 0

    def add(self, layer: pa.Table) -> None:
        """Append the rows of one layer."""
        if self._writer is not None and self._rows + layer.num_rows > self._ROWS_OF_A_FILE:
            self.close()
        if self._writer is None:
            path = self.folder / part_name(self._files)
            self._writer = pq.ParquetWriter(path, layer.schema, compression="zstd", compression_level=1)
            self._files, self._rows = self._files + 1, 0
        self._writer.write_table(layer, row_group_size=ROWS_AT_ONCE)
        self._rows += layer.num_rows

    def close(self) -> None:
        """Finish the file at hand."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
