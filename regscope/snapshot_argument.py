"""The snapshot argument, the first of most public functions, and the error if something else is passed."""

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
    """`given`, checked to be a snapshot.

    Raises:
        InvalidInput: `given` is not a snapshot.
    """
    if isinstance(given, Snapshot):
        return given
    raise InvalidInput(
        f"expected a snapshot, got {text.plain(repr(given), 100)}",
        next_step="Pass the result of regscope.scan(STORE), or of regscope.Snapshot.load(FOLDER).",
    )


def as_snapshots(given: object) -> list[Snapshot]:
    """`given` as a list of snapshots, checked to be a snapshot or several.

    Raises:
        InvalidInput: `given`, or one of its items, is not a snapshot.
    """
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    return [as_snapshot(each) for each in given] if several else [as_snapshot(given)]  # type: ignore[attr-defined]


def takes_snapshot(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorate a function whose first parameter is `snap` to raise InvalidInput for anything but a snapshot."""

    @functools.wraps(function)
    def checked(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        if args or "snap" in kwargs:  # without it, Python's own error says that it is missing
            as_snapshot(args[0] if args else kwargs["snap"])
        return function(*args, **kwargs)

    return checked


def takes_snapshot_first(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """As `takes_snapshot`, for a function whose second parameter is `store`; the old order `store, snap` still works.

    Warns:
        DeprecationWarning: the function was called with the old order.
    """
    wanted: Any = takes_snapshot(function)  # called with the arguments in the new order

    @functools.wraps(function)
    def in_order(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        store, *rest = args or (None,)
        positional = bool(rest) and isinstance(rest[0], Snapshot)
        if args and not isinstance(store, Snapshot) and (positional or "snap" in kwargs):
            snap = rest.pop(0) if positional else kwargs.pop("snap")
            warnings.warn(
                f"{function.__name__}(store, snap) is deprecated: call {function.__name__}(snap, store)",
                DeprecationWarning,
                stacklevel=2,
            )
            return wanted(snap, store, *rest, **kwargs)  # type: ignore[no-any-return]
        return wanted(*args, **kwargs)  # type: ignore[no-any-return]

    return in_order
