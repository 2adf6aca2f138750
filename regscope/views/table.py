"""A DataFrame as the rows of an HTML table: the text, the tooltip and the sort key of each cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pandas as pd

from regscope import text
from regscope.spec.instructions import normalised

TOP = 50
NAMED = 1000  # rows of a table that readers search by name; the page shows 50 at first
_SHOWN, _TOOLTIP = 200, 600


@dataclass(frozen=True)
class Cell:
    """One cell: its text and tooltip without control characters, not yet escaped.

    Attributes:
        text: the text shown.
        title: the tooltip; empty for none.
        value: the sort key of a numeric column; empty if the value is absent.
        style: the class in the style sheet: number, code, path, digest, mark, bar or empty.
        bar: the lengths of a bar's two parts, in percent.
        mark: the class of the mark around the text; empty for none.
    """

    text: str
    title: str = ""
    value: str = ""
    style: str = ""
    bar: tuple[float, float] | None = None
    mark: str = ""


class Column(NamedTuple):
    """A column of the page: its head, the column of the DataFrame, and the function that makes a value's cell."""

    head: str
    source: str
    cell: Callable[[Any], Cell]


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        heads: the head of each column.
        rows: the cells.
        more: the note on omitted rows; empty if there are none.
        more_title: the exact bytes of the omitted rows.
    """

    heads: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    more: str = ""
    more_title: str = ""


def table(
    frame: pd.DataFrame, columns: Sequence[Column], *, weight: str | None = None, meaning: str = "", top: int = TOP
) -> Table:
    """The first `top` rows of `frame`, and a note on the others.

    Args:
        frame: the rows.
        columns: the columns of the page.
        weight: a column of bytes, whose sum over the omitted rows is noted.
        meaning: what these bytes are, such as `wasted`.
        top: the number of rows to show.
    """
    shown = frame.head(top)
    cells = [[column.cell(value) for value in shown[column.source].astype(object)] for column in columns]
    heads = [column.head for column in columns]
    rows = [list(row) for row in zip(*cells, strict=True)]
    left_out = len(frame) - len(shown)
    if not left_out:
        return Table(heads, rows)
    if weight is None:
        return Table(heads, rows, f"and {left_out:,} more")
    rest = int(frame[weight].iloc[top:].sum())
    return Table(
        heads, rows, f"and {left_out:,} more ({text.size(rest)}{meaning and f' {meaning}'})", exact_bytes(rest)
    )


def words(value: Any) -> Cell:
    """A text, such as a name or a reason."""
    return _written(value, "")


def code(value: Any) -> Cell:
    """A build line without the parts that differ between builds; the tooltip has the whole line."""
    if pd.isna(value):
        return Cell(text.ABSENT, style="code")
    line = normalised(str(value))
    cell = _written(line, "code")
    return cell if line == value else replace(cell, title=text.plain(value, _TOOLTIP))


def digest(value: Any) -> Cell:
    """The first twelve hexadecimal digits of a digest; the tooltip has all."""
    if pd.isna(value):
        return Cell(text.ABSENT)
    return Cell(text.short_digest(value), text.plain(value, _SHOWN), style="digest")


def size(value: Any) -> Cell:
    """Humanised bytes; the tooltip has the exact number."""
    if pd.isna(value):
        return Cell(text.ABSENT, style="number")
    return Cell(text.size(int(value)), exact_bytes(int(value)), str(int(value)), "number")


def count(value: Any) -> Cell:
    """A number of things."""
    return (
        Cell(text.ABSENT, style="number")
        if pd.isna(value)
        else Cell(f"{int(value):,}", value=str(int(value)), style="number")
    )


def times(value: Any) -> Cell:
    """A ratio: `2.4×`."""
    if pd.isna(value):
        return Cell(text.ABSENT, style="number")
    return Cell(f"{float(value):.2f}×", value=repr(float(value)), style="number")


def share(value: Any) -> Cell:
    """A share from 0 to 1: `12.3 %`."""
    if pd.isna(value):
        return Cell(text.ABSENT, style="number")
    return Cell(text.percent(float(value)), value=repr(float(value)), style="number")


def day(value: Any) -> Cell:
    """The day of a time; the tooltip has the time of day."""
    if pd.isna(value):
        return Cell(text.ABSENT, style="number")
    moment = pd.Timestamp(value)
    return Cell(
        moment.date().isoformat(),
        f"{moment.isoformat(sep=' ', timespec='seconds')}",
        repr(moment.timestamp()),
        "number",
    )


def days(value: Any) -> Cell:
    """A duration in days."""
    whole = pd.Timedelta(value).days
    return Cell(text.count(whole, "day"), value=str(whole), style="number")


def two_parts(value: tuple[int, int, int]) -> Cell:
    """A bar of exclusive and shared bytes, relative to the longest."""
    own, shared, longest = value
    parts = (own / longest * 100, shared / longest * 100) if longest else (0.0, 0.0)
    title = f"{text.size(own)} its own, {text.size(shared)} shared"
    return Cell("", title, str(own + shared), "bar", (round(parts[0], 1), round(parts[1], 1)))


def path(value: Any) -> Cell:
    """A path within an image, from its root."""
    return _written(f"/{value}", "path")


def mode(value: Any) -> Cell:
    """Permission bits in octal."""
    return Cell(f"{int(value):04o}", value=str(int(value)), style="number")


def number(value: Any) -> Cell:
    """A number that is no count, such as a user id."""
    return Cell(str(int(value)), value=str(int(value)), style="number")


def figure(value: tuple[float, str]) -> Cell:
    """A figure with its unit."""
    amount, unit = value
    if pd.isna(amount):
        return Cell(text.ABSENT, style="number")
    said = {
        "bytes": lambda: text.size(amount),
        "share": lambda: text.percent(amount),
        "ratio": lambda: f"{amount:.2f}×",
    }.get(unit, lambda: f"{amount:,.0f}")()
    return Cell(said, value=repr(float(amount)), style="number")


def exact_bytes(number: int) -> str:
    """`1,234 bytes`."""
    return text.count(number, "byte")


def _written(value: Any, style: str) -> Cell:
    if pd.isna(value) or not str(value).strip():
        return Cell(text.ABSENT, style=style)
    shown = text.plain(value, _SHOWN)
    return Cell(shown, text.plain(value, _TOOLTIP) if len(str(value)) > _SHOWN else "", style=style)
