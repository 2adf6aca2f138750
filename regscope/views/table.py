"""A DataFrame as the rows of an HTML table: what each cell says, what its tooltip adds, and what it sorts by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pandas as pd

from regscope import text
from regscope.spec.instructions import normalised

TOP = 50
NAMED = 1000  # rows of a table that is searched by name; the page shows 50 of them at first
_SHOWN, _TOOLTIP = 200, 600


@dataclass(frozen=True)
class Cell:
    """One cell: its text and tooltip without control characters, not yet escaped.

    Attributes:
        text: what is shown.
        title: the tooltip; empty for none.
        value: what a column of numbers sorts by; empty where it is absent.
        style: the class in the style sheet: number, code, path, digest, mark, bar or empty.
        bar: the lengths of a bar's two parts, in percent.
        mark: the class of a mark that the text stands in; empty for none.
    """

    text: str
    title: str = ""
    value: str = ""
    style: str = ""
    bar: tuple[float, float] | None = None
    mark: str = ""


class Column(NamedTuple):
    """A column of the page: its head, the column of the DataFrame, and how a value becomes a cell."""

    head: str
    source: str
    cell: Callable[[Any], Cell]


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        heads: the head of each column.
        rows: the cells.
        more: what is left out, in words; empty where nothing is.
        more_title: its bytes, exactly.
    """

    heads: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    more: str = ""
    more_title: str = ""


def table(
    frame: pd.DataFrame, columns: Sequence[Column], *, weight: str | None = None, meaning: str = "", top: int = TOP
) -> Table:
    """The first `top` rows of `frame`, and a word on the rest.

    Args:
        frame: what to show.
        columns: of the page.
        weight: a column of bytes, of which the rest has so many.
        meaning: what these bytes are, in words.
        top: how many rows to show.
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
    """Text that a person wrote: a name, a reason."""
    return _written(value, "")


def code(value: Any) -> Cell:
    """A build line without what differs from build to build, all of it in the tooltip."""
    if pd.isna(value):
        return Cell(text.ABSENT, style="code")
    line = normalised(str(value))
    cell = _written(line, "code")
    return cell if line == value else replace(cell, title=text.plain(value, _TOOLTIP))


def digest(value: Any) -> Cell:
    """The first twelve hexadecimal digits of a digest, the whole of it in the tooltip."""
    if pd.isna(value):
        return Cell(text.ABSENT)
    return Cell(text.short_digest(value), text.plain(value, _SHOWN), style="digest")


def size(value: Any) -> Cell:
    """Bytes, humanised, exact in the tooltip."""
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
    """The day of a time, the whole of it in the tooltip."""
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
    """A bar of what is its own and what is shared, against the longest."""
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
    """A number that counts nothing."""
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
