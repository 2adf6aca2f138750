"""Tables on a terminal, in a pipe, as JSON and as CSV."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import click

from regscope import text
from regscope.cli.exit_codes import WITH_PROBLEMS

if TYPE_CHECKING:
    import pandas as pd

    from regscope.tables import Snapshot

Command = TypeVar("Command", bound=Callable[..., Any])
Kind = Literal["text", "instruction", "size", "number", "digest", "time", "ratio"]
_RIGHT = {"size", "number", "ratio"}
_CAN_BE_CUT = {"text", "instruction"}
_GAP, _NARROWEST = 1, 6
_ON_SCREEN = 25
_HEADINGS = {"blob_digest": "layer", "position": "#", "step": "#", "name": "image", "base_name": "built on"}


class Shown(NamedTuple):
    """One column of a table for people: the DataFrame's column, and how its values read."""

    column: str
    kind: Kind

    @property
    def heading(self) -> str:
        """What stands over it."""
        return _HEADINGS.get(self.column, self.column.replace("_", " "))


def columns(**kinds: Kind) -> list[Shown]:
    """The columns to show, in order, each with its kind."""
    return [Shown(column, kind) for column, kind in kinds.items()]


@dataclass(frozen=True)
class Output:
    """Where and how the user wants to see a table."""

    as_json: bool
    as_csv: bool
    limit: int | None

    def show(self, table: pd.DataFrame, columns: Sequence[Shown]) -> None:
        """Print `table`: all of its columns as JSON or CSV, `columns` for people."""
        if self.as_json or self.as_csv:
            self._show_data(table if self.limit is None else table.head(self.limit))
            return
        on_terminal = sys.stdout.isatty()
        limit = self.limit if self.limit is not None else _ON_SCREEN if on_terminal else len(table)
        rows = [_cells(row, columns) for row in table.head(limit).to_dict("records")]
        _print_rich(rows, columns) if on_terminal else _print_plain(rows, columns)
        if len(table) > limit:
            click.echo(f"… and {len(table) - limit:,} more: --limit {len(table)} shows all", err=True)

    def show_facts(self, title: str, facts: dict[str, str], notes: Sequence[str], data: dict[str, Any]) -> None:
        """Print a few facts for people, or `data` as JSON."""
        if self.as_json:
            import json

            click.echo(json.dumps(data, indent=2))
        else:
            click.echo(text.facts(title, facts, notes))

    def _show_data(self, table: pd.DataFrame) -> None:
        if self.as_json:
            print(table.to_json(orient="records", date_format="iso", date_unit="us", indent=2))  # noqa: T201
        else:
            click.echo(table.to_csv(index=False), nl=False)


def prints_table(command: Command) -> Command:
    """Give a command --json, --csv and --limit, as one `output: Output` argument."""

    @functools.wraps(command)
    def with_output(*, as_json: bool, as_csv: bool, limit: int | None, **arguments: Any) -> Any:
        if as_json and as_csv:
            raise click.UsageError("--json and --csv exclude each other")
        return command(output=Output(as_json, as_csv, limit), **arguments)

    wrapped: Any = with_output
    for option in (
        click.option("-n", "--limit", type=click.IntRange(min=0), help="Show at most so many rows."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV: every column, raw values."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON: every column, raw values."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def finish(snap: Snapshot) -> None:
    """Say what a reader of the numbers must know; exit with WITH_PROBLEMS where something could not be read."""
    for row in snap.problems.head(5).to_dict("records"):
        where = str(row["repository"]) + (f":{row['reference']}" if row["reference"] else "")
        click.echo(f"problem: {text.plain(where, 100)}: {row['what']}: {text.plain(row['error'], 300)}", err=True)
    if len(snap.problems) > 5:
        click.echo(f"… and {len(snap.problems) - 5:,} more problems", err=True)
    if len(snap.problems):
        raise click.exceptions.Exit(WITH_PROBLEMS)


def _cells(row: dict[Any, Any], columns: Sequence[Shown]) -> list[str]:
    return [_cell(row[column.column], column.kind) for column in columns]


def _cell(value: Any, kind: Kind) -> str:
    import pandas as pd

    from regscope.analysis.instructions import normalised

    if value is None or pd.isna(value):
        return text.ABSENT
    if kind == "size":
        return text.size(value)
    if kind == "number":
        return f"{int(value):,}"
    if kind == "ratio":
        return f"{value:.2f}"
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
    for column, width in zip(columns, _widths(rows, columns, console.width), strict=True):
        justify: Literal["left", "right"] = "right" if column.kind in _RIGHT else "left"
        table.add_column(column.heading, justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _widths(rows: list[list[str]], columns: Sequence[Shown], room: int) -> list[int]:
    """The width of each column: as its cells need, with the widest texts cut so that all fit into `room`."""
    widths = [max(map(len, cells)) for cells in zip([column.heading for column in columns], *rows, strict=True)]
    texts = [number for number, column in enumerate(columns) if column.kind in _CAN_BE_CUT]
    while sum(widths) + (_GAP + 1) * len(widths) > room:
        widest = max(texts, key=widths.__getitem__, default=None)
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
