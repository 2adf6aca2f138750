"""Reading a document with faults: nulls, and invalid values that nothing depends on, are removed from it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from regscope.text import plain

_Model = TypeVar("_Model", bound=BaseModel)
_ROUNDS = 3  # the removal of a value can show further missing fields
_MOST = 1000  # faults of one document

_HOLDERS = frozenset({"config", "subject", "layers", "manifests", "fsLayers", "history"})
NEEDED = _HOLDERS | {"schemaVersion", "mediaType", "digest", "size", "blobSum", "v1Compatibility", "signatures"}
"""The fields of manifests that define the content of an image: none of them is removed unless it is null."""


def read_without_faults(
    model: type[_Model], document: Any, error: ValidationError, needed: Collection[str]
) -> tuple[_Model, tuple[str, ...]]:
    """The model of `document` without the values that `error`, and the errors after it, report as invalid.

    Args:
        needed: fields that are removed only where they are null.

    Returns:
        The model, and the faults of the removed values; a removed null is not a fault.

    Raises:
        ValidationError: an invalid value cannot be removed.
    """
    faults: list[str] = []
    for _ in range(_ROUNDS):
        if error.error_count() > _MOST:
            raise error
        for fault in reversed(error.errors(include_url=False)):  # the last entry of a list is removed first
            if fault["type"] == "missing":
                _name_no_type(document, fault["loc"], error)
            elif _may_go(fault, needed):
                _take_out(document, fault["loc"])
                if fault["input"] is not None:
                    faults.append(_in_words(fault))
            else:
                raise error
        try:
            return model.model_validate(document), tuple(dict.fromkeys(reversed(faults)))
        except ValidationError as another:
            error = another
    raise error


def _may_go(fault: ErrorDetails, needed: Collection[str]) -> bool:
    """Whether the invalid value may be removed: it is null, or its field is not needed."""
    names = [part for part in fault["loc"] if isinstance(part, str)]
    if not names:  # the document itself is invalid
        return False
    if fault["input"] is None and isinstance(fault["loc"][-1], str):
        return True
    field = next((name for name in names if name not in _HOLDERS), names[-1])
    return field not in needed


def _name_no_type(document: Any, where: tuple[int | str, ...], error: ValidationError) -> None:
    """Set an empty media type on a layer or a child of an index: its digest is enough, as for other clients."""
    if where[0] not in ("layers", "manifests") or where[2:] != ("mediaType",):
        raise error
    document[where[0]][where[1]]["mediaType"] = ""


def _take_out(document: Any, where: tuple[int | str, ...]) -> None:
    """Remove a field or an entry of a list; in `diff_ids` and `history`, where positions count, no single entry."""
    *path, last = where
    if "diff_ids" in path:  # each belongs to a layer by its position: all are removed
        path, last = path[:-1], "diff_ids"
    holder = document
    for part in path:
        if isinstance(holder, dict) and part not in holder:
            return  # it was removed with another fault
        holder = holder[part]
    if path[-1:] == ["history"]:  # an empty step, as Go reads a null
        holder[last] = {}
    elif isinstance(holder, dict):
        holder.pop(last, None)
    else:
        del holder[last]


def first_fault(error: ValidationError) -> str:
    """The first error of pydantic's as one line: the field, and what is wrong."""
    return _in_words(error.errors(include_url=False, include_input=False)[0])


def _in_words(fault: ErrorDetails) -> str:
    where = plain(".".join(str(part) for part in fault["loc"]), 200)  # may contain the document's own keys
    what = fault["msg"].removeprefix("Value error, ").partition("\n")[0]
    return f"{where}: {what}" if where else what
