"""Documents as models that keep the bytes they were read from for as long as nothing is changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError
from pydantic_core import from_json

from regscope.errors import InvalidInput
from regscope.spec.digest import Digest
from regscope.spec.json_forms import compact, one_line
from regscope.spec.lenient_reading import NEEDED, first_fault, read_without_faults


class RawBacked(BaseModel):
    """A model of a document, and the document's bytes.

    It can be changed, and so can what it holds: then `raw` and `digest` are those of the changed document.
    """

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    _needed: ClassVar[Collection[str]] = NEEDED
    _not_in_raw: ClassVar[frozenset[str]] = frozenset()  # fields that `raw` need not hold
    _raw: bytes | None = PrivateAttr(default=None)

    @classmethod
    def from_document(cls, document: Any, raw: bytes | None) -> Self:
        """The model of an already decoded `document`, remembering the bytes it came from.

        What is null is absent, as Go writes it. A value that cannot be read is left out if the rest can do without it,
        and is one of `faults`.

        Raises:
            ValidationError: the rest cannot.
        """
        try:
            model = cls.model_validate(document)
        except ValidationError as error:
            model, faults = read_without_faults(cls, document, error, cls._needed)
            assert model.__pydantic_private__ is not None
            model.__pydantic_private__["_faults"] = faults  # undeclared: each that is declared costs every model time
        assert model.__pydantic_private__ is not None
        model.__pydantic_private__["_raw"] = raw  # as `model._raw = raw`, which takes longer
        return model

    @property
    def faults(self) -> tuple[str, ...]:
        """What was left out since it could not be read: where it stood, and what is wrong with it."""
        faults: tuple[str, ...] = (self.__pydantic_private__ or {}).get("_faults", ())
        return faults

    @property
    def raw(self) -> bytes:
        """The exact bytes that were read, if nothing was changed since; else the JSON of what it says now.

        In the JSON of a changed document, all that was not changed stands as it was read: unknown fields, the order of
        the fields, the form of times. That of a model built by hand leaves out fields of None.

        Raises:
            InvalidInput: a value that was put into it has no place in such a document.
        """
        if self._raw is None:
            return compact(self._checked(self._stated()))
        stated = self._stated(self._not_in_raw)
        before = type(self).from_document(from_json(self._raw), None)._stated(self._not_in_raw)
        if stated == before:
            return self._raw
        document = {name: value for name, value in from_json(self._raw).items() if name not in self._not_in_raw}
        return compact(self._checked(_with_changes(document, before, stated)))

    @property
    def read_size(self) -> int:
        """The size (bytes) of the document as it was read, at no cost; of one built by hand, of its `raw`."""
        return len(self.raw if self._raw is None else self._raw)

    @property
    def digest(self) -> Digest:
        """The sha256 digest of `raw`."""
        return Digest.of(self.raw)

    def json(  # type: ignore[override]
        self, *, indent: int | None = None, exclude: Any = None, exclude_none: bool = False, exclude_unset: bool = False
    ) -> str:
        """What it says as JSON, as the models of pydantic 1 have it; what is pushed is `raw`."""
        return self.model_dump_json(
            indent=indent, exclude=exclude, by_alias=True, exclude_none=exclude_none, exclude_unset=exclude_unset
        )

    def _stated(self, left_out: Collection[str] = ()) -> dict[str, Any]:
        dumped = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(left_out), warnings=False)
        stated: dict[str, Any] = _without_empty(dumped)
        return stated

    def _checked(self, document: dict[str, Any]) -> dict[str, Any]:
        """`document`, if it can be read again: what is put into a list or a map is checked by nobody before."""
        try:
            type(self).model_validate(document)
        except ValidationError as error:
            raise InvalidInput(
                f"this {type(self).__name__} cannot be written: {first_fault(error)}",
                next_step="Correct the value that was set.",
            ) from None
        return document

    def __eq__(self, other: object) -> bool:
        """Whether `other` is the same kind of document with the same bytes."""
        return isinstance(other, RawBacked) and type(self) is type(other) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]  # it can be changed


def _with_changes(document: Any, before: Any, after: Any) -> Any:
    """`document`, which was read as `before`, with that changed in which `after` differs."""
    if before == after:
        return document
    if isinstance(document, dict) and isinstance(before, dict) and isinstance(after, dict):
        kept = {name: value for name, value in document.items() if name not in before or name in after}
        return kept | {
            name: _with_changes(document.get(name), before.get(name), value)
            for name, value in after.items()
            if name not in before or before[name] != value
        }
    if isinstance(document, list) and isinstance(before, list) and isinstance(after, list):
        if len(document) != len(before):
            return after
        read = {one_line(each): stated for each, stated in zip(before, document, strict=True)}
        return [read.get(one_line(each), each) for each in after]
    return after


def _without_empty(value: Any) -> Any:
    # An absent annotations map and an empty one mean the same; the shorter form is the customary one.
    if isinstance(value, dict):
        return {k: _without_empty(v) for k, v in value.items() if k not in {"annotations", "urls"} or v not in ({}, [])}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value
