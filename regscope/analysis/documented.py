"""Columns in docstrings: they are written from the same constant that defines the dtypes of a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import fill
from typing import TypeVar

from regscope.schema import Column

_Documented = TypeVar("_Documented", bound=Callable[..., object])
_WIDTH = 120


def documented(**tables: Sequence[Column]) -> Callable[[_Documented], _Documented]:
    """Decorate a function or class: write the columns of tables into its docstring, in place of the lines `{name}`."""

    def write(thing: _Documented) -> _Documented:
        if thing.__doc__:  # python -OO removes docstrings
            thing.__doc__ = "\n".join(_written(thing.__doc__.split("\n"), tables))
        return thing

    return write


def _written(lines: Sequence[str], tables: dict[str, Sequence[Column]]) -> Iterator[str]:
    places = {f"{{{name}}}": columns for name, columns in tables.items()}
    for line in lines:
        columns, indent = places.get(line.strip()), " " * (len(line) - len(line.lstrip()))
        yield line if columns is None else "\n".join(_item(column, indent) for column in columns)


def _item(column: Column, indent: str) -> str:
    kind = ", ".join(filter(None, (column.dtype, column.unit)))
    said = f"- `{column.name}` ({kind}): {column.meaning}"
    return fill(said, _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
