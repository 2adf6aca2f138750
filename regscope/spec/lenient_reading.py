"""What is left out of a document so that all else of it can be read: nulls, and values that nothing depends on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from regscope.text import plain

_Model = TypeVar("_Model", bound=BaseModel)
_ROUNDS = 3  # leaving out one thing shows what else is missing
_MOST = 1000  # faults of one document

_HOLDERS = frozenset({"config", "subject", "layers", "manifests", "fsLayers", "history"})
NEEDED = _HOLDERS | {"schemaVersion", "mediaType", "digest", "size", "blobSum", "v1Compatibility", "signatures"}
"""The fields of manifests that say what belongs to an image: none of them is left out unless it is null."""


def read_without_faults(
    model: type[_Model], document: Any, error: ValidationError, needed: Collection[str]
) -> tuple[_Model, tuple[str, ...]]:
    """The model of `document`, from which is taken what `error`, and the errors after it, complain of.

    Args:
        needed: fields that may be null, and may not be left out for another fault.

    Returns:
        The model, and what was wrong with the values that were left out; a null is none of them.

    Raises:
        ValidationError: something wrong cannot be left out.
    """
    faults: list[str] = []
    for _ in range(_ROUNDS):
        if error.error_count() > _MOST:
            raise error
        for fault in reversed(error.errors(include_url=False)):  # the last entry of a list is taken out first
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
    """Whether the rest can do without it: a null field says nothing; an entry is part of what holds it."""
    names = [part for part in fault["loc"] if isinstance(part, str)]
    if not names:  # it is the document that is none
        return False
    if fault["input"] is None and isinstance(fault["loc"][-1], str):
        return True
    field = next((name for name in names if name not in _HOLDERS), names[-1])
    return field not in needed


def _name_no_type(document: Any, where: tuple[int | str, ...], error: ValidationError) -> None:
    """A layer, or a child of an index, is found by its digest: its media type may be missing, as for other clients."""
    if where[0] not in ("layers", "manifests") or where[2:] != ("mediaType",):
        raise error
    document[where[0]][where[1]]["mediaType"] = ""


def _take_out(document: Any, where: tuple[int | str, ...]) -> None:
    """Leave out a field; an entry of a list as well, but for those whose place in the list counts."""
    *path, last = where
    if "diff_ids" in path:  # each belongs to a layer: with one of them, all are lost
        path, last = path[:-1], "diff_ids"
    holder = document
    for part in path:
        if isinstance(holder, dict) and part not in holder:
            return  # it went with another fault
        holder = holder[part]
    if path[-1:] == ["history"]:  # as Go reads a null: a step about which nothing is known
        holder[last] = {}
    elif isinstance(holder, dict):
        holder.pop(last, None)
    else:
        del holder[last]


def first_fault(error: ValidationError) -> str:
    """The first complaint of pydantic as one line: where, and what."""
    return _in_words(error.errors(include_url=False, include_input=False)[0])


def _in_words(fault: ErrorDetails) -> str:
    where = plain(".".join(str(part) for part in fault["loc"]), 200)  # may hold the document's own keys
    what = fault["msg"].removeprefix("Value error, ").partition("\n")[0]
    return f"{where}: {what}" if where else what
