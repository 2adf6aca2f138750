"""The argument that most public functions take first: a snapshot, and what is said where something else is given."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from regscope import text
from regscope.errors import InvalidInput
from regscope.tables import Snapshot

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def as_snapshot(given: object) -> Snapshot:
    """What was given, if it is a snapshot.

    Raises:
        InvalidInput: it is none.
    """
    if isinstance(given, Snapshot):
        return given
    raise InvalidInput(
        f"a snapshot is wanted here, and this is {text.plain(repr(given), 100)}",
        next_step="Pass the result of regscope.scan(STORE), or of regscope.Snapshot.load(FOLDER).",
    )


def as_snapshots(given: object) -> list[Snapshot]:
    """What was given, if it is a snapshot or several.

    Raises:
        InvalidInput: it is none, or something among it is.
    """
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    return [as_snapshot(each) for each in given] if several else [as_snapshot(given)]  # type: ignore[attr-defined]


def takes_snapshot(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Let a function whose first parameter is `snap` refuse whatever is no snapshot: see `as_snapshot`."""

    @functools.wraps(function)
    def checked(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        if args or "snap" in kwargs:  # else Python says that it is missing
            as_snapshot(args[0] if args else kwargs["snap"])
        return function(*args, **kwargs)

    return checked


def takes_snapshot_first(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """As `takes_snapshot`, for a function whose second parameter is `store`, which came before `snap`.

    Warns:
        DeprecationWarning: it still does.
    """
    wanted: Any = takes_snapshot(function)  # whose arguments are put in order

    @functools.wraps(function)
    def in_order(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        store, *rest = args or (None,)
        positional = bool(rest) and isinstance(rest[0], Snapshot)
        if args and not isinstance(store, Snapshot) and (positional or "snap" in kwargs):
            snap = rest.pop(0) if positional else kwargs.pop("snap")
            warnings.warn(
                f"{function.__name__}(store, snap) is now {function.__name__}(snap, store): the snapshot comes first",
                DeprecationWarning,
                stacklevel=2,
            )
            return wanted(snap, store, *rest, **kwargs)  # type: ignore[no-any-return]
        return wanted(*args, **kwargs)  # type: ignore[no-any-return]

    return in_order
