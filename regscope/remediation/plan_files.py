"""Saved plans: JSON files; the type of every value is checked on reading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from regscope import text
from regscope.errors import NotAStore, RegscopeError, StoreError
from regscope.pieces import PIECE
from regscope.remediation.plan_data import PlanData
from regscope.remediation.plan_tables import TABLES, as_rows, from_rows, utc
from regscope.remediation.policy import policy_as_json, policy_from_json
from regscope.spec.json_forms import compact
from regscope.version import __version__

_FORMAT = 2
_LARGEST = 2**30  # bytes: a plan of some three million tags
_ANEW = "Make a new plan: regscope plan SOURCE --save FILE."
Typed = TypeVar("Typed")


def write_plan(plan: PlanData, path: Path) -> None:
    """Write a plan as JSON.

    Raises:
        StoreError: the file cannot be written.
    """
    about = {
        "regscope_plan": _FORMAT,
        "regscope": __version__,
        "location": plan.location,
        "fingerprint": plan.fingerprint,
        "taken_at": plan.taken_at.isoformat(),
        "policy": policy_as_json(plan.policy),
        "freed_bytes": plan.freed_bytes,
        "at_most": plan.at_most,
        "orphaned_bytes": plan.orphaned_bytes,
        "unknown": plan.unknown,
    }
    tables = {name: as_rows(getattr(plan, name)) for name in TABLES}
    content = compact(about | tables) + b"\n"
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(
            f"the plan cannot be written to {path}: {text.plain(error.strerror or error, 200)}",
            next_step="Free disk space, or name another file.",
        ) from None


def read_plan(path: Path) -> dict[str, Any]:
    """The attributes of the plan in a file; their consistency is not checked here.

    Raises:
        NotAStore: the file cannot be read, or is not a plan.
        StoreError: the plan is damaged, or of another version.
    """
    found = _document(path)
    if found["regscope_plan"] != _FORMAT:
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
        raise StoreError(f"the plan in {path} is damaged: it lacks {error}", next_step=_ANEW) from None
    except (TypeError, ValueError, RecursionError, RegscopeError) as error:
        raise StoreError(f"the plan in {path} is damaged: {text.plain(error, 300)}", next_step=_ANEW) from None


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_content(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NotAStore(f"no plan can be read from {path}: {text.plain(error, 300)}", next_step=_ANEW) from None
    if not isinstance(found, dict) or "regscope_plan" not in found:
        raise NotAStore(f"{path} is not a plan", next_step="Make one with `regscope plan SOURCE --save FILE`.")
    return found


def _content(path: Path) -> bytes:
    """The whole file if it begins like a JSON object; else only its first MiB, so that `/dev/zero` ends."""
    with path.open("rb") as file:
        found = bytearray(file.read(PIECE))
        while found.lstrip()[:1] == b"{" and (piece := file.read(PIECE)):
            found += piece
            if len(found) > _LARGEST:
                raise ValueError(f"it is larger than {_LARGEST:,} bytes")
    return bytes(found)


def _typed(found: dict[str, Any], name: str, kind: type[Typed]) -> Typed:
    value = found[name]
    if type(value) is not kind:
        raise TypeError(f"{name} must be of type {kind.__name__}, not {type(value).__name__}")
    if isinstance(value, int) and not 0 <= value < 2**63:
        raise ValueError(f"{name} is negative, or does not fit into 64 bits")
    return value


def _names(found: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(name, str) for name in found):
        raise TypeError("unknown must be a list of names")
    return tuple(found)
