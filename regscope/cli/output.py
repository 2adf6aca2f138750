"""Tables on a terminal, in a pipe, as JSON and as CSV."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import click

from regscope import text
from regscope.cli.exit_codes import WITH_PROBLEMS
from regscope.spec.json_forms import readable

if TYPE_CHECKING:
    import pandas as pd

    from regscope.tables import Snapshot

Command = TypeVar("Command", bound=Callable[..., Any])
Kind = Literal[
    "text", "path", "instruction", "size", "number", "digest", "time", "ratio", "share", "mode", "yes", "figure"
]
_RIGHT = {"size", "number", "ratio", "share", "mode", "figure"}
_CAN_BE_CUT = {"text", "path", "instruction"}
_GAP, _NARROWEST = 1, 6
_ON_SCREEN = 25
_HEADINGS = {
    "blob_digest": "layer",
    "layer_digest": "layer",
    "position": "#",
    "step": "#",
    "name": "image",
    "base_name": "built on",
    "wasted_stored": "stored",
    "size_before": "before",
    "size_after": "after",
    "distinct_bytes": "distinct",
    "new_bytes": "new",
    "user_wasted_percent": "user wasted",
}


class Shown(NamedTuple):
    """One column of a printed table: the DataFrame's column, and how its values are written."""

    column: str
    kind: Kind

    @property
    def heading(self) -> str:
        """The column's heading."""
        return _HEADINGS.get(self.column, self.column.replace("_", " "))


def columns(**kinds: Kind) -> list[Shown]:
    """The columns to print, in order, each with its kind."""
    return [Shown(column, kind) for column, kind in kinds.items()]


@dataclass(frozen=True)
class Output:
    """The output format of a table, and the largest number of rows; None for no limit."""

    as_json: bool
    as_csv: bool
    limit: int | None

    @property
    def is_data(self) -> bool:
        """Whether the output is JSON or CSV."""
        return self.as_json or self.as_csv

    def show(self, table: pd.DataFrame, columns: Sequence[Shown], nothing: str = "") -> None:
        """Print `table`: all of its columns as JSON or CSV, else `columns`; if it is empty, print `nothing`."""
        if self.is_data:
            self._show_data(table if self.limit is None else table.head(self.limit))
            return
        if table.empty and nothing:
            click.echo(nothing, err=True)
            return
        on_terminal = sys.stdout.isatty()
        limit = self.limit if self.limit is not None else _ON_SCREEN if on_terminal else len(table)
        rows = [_cells(row, columns) for row in table.head(limit).to_dict("records")]
        _print_rich(rows, columns) if on_terminal else _print_plain(rows, columns)
        if len(table) > limit:
            click.echo(f"… and {len(table) - limit:,} more: --limit {len(table)} shows all", err=True)

    def show_facts(self, title: str, facts: dict[str, str], notes: Sequence[str], data: dict[str, Any]) -> None:
        """Print facts and notes as text, or `data` as JSON."""
        if self.as_json:
            click.echo(readable(data))
        else:
            click.echo(text.facts(title, facts, notes))

    def _show_data(self, table: pd.DataFrame) -> None:
        if self.as_json:
            print(readable(records(table)))  # noqa: T201
        else:
            written = table.to_csv(index=False)
            if sys.stdout.isatty():
                written = "".join(f"{text.plain(line)}\n" for line in written.splitlines())
            sys.stdout.write(written)  # click.echo would remove escape sequences


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows for JSON, unrounded; null for absent values and numbers that are not finite."""
    import json

    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", date_format="iso", date_unit="us"))
    for column in table.select_dtypes("float"):  # pandas rounds these to ten decimals
        for row, value in zip(rows, table[column].tolist(), strict=True):
            row[str(column)] = finite(value)
    return rows


def finite(value: float) -> float | None:
    """The value, or None if it is not finite: JSON has no such number."""
    return value if math.isfinite(value) else None


def prints_table(command: Command) -> Command:
    """Give a command --json, --csv and --limit, as one `output: Output` argument."""

    @functools.wraps(command)
    def with_output(*, as_json: bool, as_csv: bool, limit: int | None, **arguments: Any) -> Any:
        if as_json and as_csv:
            raise click.UsageError("--json and --csv exclude each other")
        return command(output=Output(as_json, as_csv, limit), **arguments)

    wrapped: Any = with_output
    for option in (
        click.option("-n", "--limit", type=click.IntRange(min=0), help="Show at most this many rows."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV: every column, raw values."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON: every column, raw values."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def finish(snap: Snapshot) -> None:
    """Print the snapshot's problems; exit with WITH_PROBLEMS if there are any."""
    say_problems(snap)
    if len(snap.problems):
        raise click.exceptions.Exit(WITH_PROBLEMS)


def say_problems(snap: Snapshot) -> None:
    """Print what could not be read, the first five problems of the snapshot."""
    for row in snap.problems.head(5).to_dict("records"):
        where = str(row["repository"]) + (f":{row['reference']}" if row["reference"] else "")
        click.echo(f"problem: {text.plain(where, 100)}: {row['what']}: {text.plain(row['error'], 300)}", err=True)
    if len(snap.problems) > 5:
        click.echo(f"… and {len(snap.problems) - 5:,} more problems", err=True)


def _cells(row: dict[Any, Any], columns: Sequence[Shown]) -> list[str]:
    return [_cell(row[column.column], column.kind) for column in columns]


def _cell(value: Any, kind: Kind) -> str:
    import pandas as pd

    from regscope.spec.instructions import normalised

    if value is None or pd.isna(value):
        return text.ABSENT
    if kind == "size":
        return text.size(value)
    if kind == "number":
        return f"{int(value):,}"
    if kind == "ratio":
        return f"{value:.2f}"
    if kind == "share":
        return text.percent(min(value, 0.999) if value < 1 else value)  # 99.96 % is not rounded to 100 %
    if kind == "mode":
        return f"{int(value):04o}"
    if kind == "yes":
        return "yes" if value else "no"
    if kind == "digest":
        return text.short_digest(value)
    if kind == "time":
        return f"{value:%Y-%m-%d %H:%M}"
    if kind == "instruction":
        return text.plain(normalised(str(value)), 500)
    return text.plain(value, 500)


def _print_rich(rows: list[list[str]], columns: Sequence[Shown]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    widths = _widths(rows, columns, console.width)
    for column, width in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "right" if column.kind in _RIGHT else "left"
        table.add_column(column.heading, justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        cells = zip(row, columns, widths, strict=True)
        table.add_row(*(Text(_end(cell, width) if column.kind == "path" else cell) for cell, column, width in cells))
    console.print(table)


def _end(path: str, width: int) -> str:
    """The end of a path that is too long for the column: the file's name is more important than its folders."""
    return path if len(path) <= width else f"…{path[len(path) - width + 1 :]}"


def _widths(rows: list[list[str]], columns: Sequence[Shown], room: int) -> list[int]:
    """The width of each column in characters; the widest texts are shortened until all columns fit into `room`.

    A path may be twice as wide as another text.
    """
    widths = [max(map(len, cells)) for cells in zip([column.heading for column in columns], *rows, strict=True)]
    texts = [number for number, column in enumerate(columns) if column.kind in _CAN_BE_CUT]
    while sum(widths) + (_GAP + 1) * len(widths) > room:
        widest = max(
            texts, key=lambda number: widths[number] / (2 if columns[number].kind == "path" else 1), default=None
        )
        if widest is None or widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _print_plain(rows: list[list[str]], columns: Sequence[Shown]) -> None:
    headings = [column.heading.upper() for column in columns]
    widths = [max(map(len, cells)) for cells in zip(headings, *rows, strict=True)]
    for row in [headings, *rows]:
        cells = [
            cell.rjust(width) if column.kind in _RIGHT else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())
