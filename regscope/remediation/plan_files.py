"""Plans as they are written: JSON whose every value has the type that it should have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from regscope import text
from regscope.errors import NotAStore, RegscopeError, StoreError
from regscope.remediation.plan_tables import TABLES, from_rows, utc
from regscope.remediation.policy import policy_from_json

FORMAT = 2
_LARGEST = 2**30  # bytes: some three million tags
_PIECE = 2**20
_ANEW = "Plan anew: regscope plan SOURCE --save FILE."
Typed = TypeVar("Typed")


def read_plan(path: Path) -> dict[str, Any]:
    """The attributes of the plan in a file; whether they follow from one another is not looked at.

    Raises:
        NotAStore: the file is no plan.
        StoreError: it is one, and damaged or of another version.
    """
    found = _document(path)
    if found["regscope_plan"] != FORMAT:
        raise StoreError(f"{path} was written by another version of regscope", next_step=_ANEW)
    try:
        return {
            "location": _typed(found, "location", str),
            "fingerprint": _typed(found, "fingerprint", str),
            "taken_at": utc("taken_at", _typed(found, "taken_at", str)),
            "policy": policy_from_json(found["policy"]),
            "freed_bytes": _typed(found, "freed_bytes", int),
            "at_most": _typed(found, "at_most", bool),
            "orphaned_bytes": _typed(found, "orphaned_bytes", int),
            "unknown": _names(_typed(found, "unknown", list)),
            **{name: from_rows(name, found[name]) for name in TABLES},
        }
    except KeyError as error:
        raise StoreError(f"the plan in {path} is damaged: it has no {error}", next_step=_ANEW) from None
    except (TypeError, ValueError, RecursionError, RegscopeError) as error:
        raise StoreError(f"the plan in {path} is damaged: {text.plain(error, 300)}", next_step=_ANEW) from None


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_content(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NotAStore(f"no plan can be read from {path}: {text.plain(error, 300)}") from None
    if not isinstance(found, dict) or "regscope_plan" not in found:
        raise NotAStore(f"{path} is no plan", next_step="Make one with `regscope plan SOURCE --save FILE`.")
    return found


def _content(path: Path) -> bytes:
    """All of a file that begins as a plan does; of another one only the beginning."""
    with path.open("rb") as file:
        found = bytearray(file.read(_PIECE))
        while found.lstrip()[:1] == b"{" and (piece := file.read(_PIECE)):
            found += piece
            if len(found) > _LARGEST:
                raise ValueError(f"it is larger than {_LARGEST:,} bytes")
    return bytes(found)


def _typed(found: dict[str, Any], name: str, kind: type[Typed]) -> Typed:
    value = found[name]
    if type(value) is not kind:
        raise TypeError(f"{name} is of type {type(value).__name__}, and should be {kind.__name__}")
    if isinstance(value, int) and not 0 <= value < 2**63:
        raise ValueError(f"{name} is negative, or beyond 64 bits")
    return value


def _names(found: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(name, str) for name in found):
        raise TypeError("unknown is no list of names")
    return tuple(found)
