"""Models of documents that keep the bytes they were read from as long as the model is not changed."""

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
    """A model of a document, with the document's bytes.

    The model, its lists and its maps can be changed: `raw` and `digest` are then those of the changed document.
    """

    model_config = ConfigDict(extra="allow", validate_assignment=True)
    _needed: ClassVar[Collection[str]] = NEEDED
    _not_in_raw: ClassVar[frozenset[str]] = frozenset()  # fields that are not part of `raw`
    _raw: bytes | None = PrivateAttr(default=None)

    @classmethod
    def from_document(cls, document: Any, raw: bytes | None) -> Self:
        """The model of an already decoded `document`, with the bytes it was read from.

        A null counts as absent, as Go writes it. An invalid value is left out if nothing depends on it, and is listed
        in `faults`.

        Raises:
            ValidationError: an invalid value cannot be left out.
        """
        try:
            model = cls.model_validate(document)
        except ValidationError as error:
            model, faults = read_without_faults(cls, document, error, cls._needed)
            assert model.__pydantic_private__ is not None
            model.__pydantic_private__["_faults"] = faults  # not declared: a declared one takes time in every model
        assert model.__pydantic_private__ is not None
        model.__pydantic_private__["_raw"] = raw  # faster than `model._raw = raw`
        return model

    @property
    def faults(self) -> tuple[str, ...]:
        """The invalid values that were left out: for each, its field and what is wrong with it."""
        faults: tuple[str, ...] = (self.__pydantic_private__ or {}).get("_faults", ())
        return faults

    @property
    def raw(self) -> bytes:
        """The exact bytes that were read, if the model was not changed since; otherwise its JSON.

        The JSON of a changed model keeps the unchanged parts as they were read: unknown fields, the order of fields,
        the form of times. The JSON of a model that was built in Python omits fields that are None.

        Raises:
            InvalidInput: a value that was set is not valid in such a document.
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
        """The size (bytes) of the document as it was read, without serialising it; of a new model, of its `raw`."""
        return len(self.raw if self._raw is None else self._raw)

    @property
    def digest(self) -> Digest:
        """The sha256 digest of `raw`."""
        return Digest.of(self.raw)

    def json(  # type: ignore[override]
        self, *, indent: int | None = None, exclude: Any = None, exclude_none: bool = False, exclude_unset: bool = False
    ) -> str:
        """The model as JSON, by the method name of pydantic 1; `raw`, and not this, is what is pushed."""
        return self.model_dump_json(
            indent=indent, exclude=exclude, by_alias=True, exclude_none=exclude_none, exclude_unset=exclude_unset
        )

    def _stated(self, left_out: Collection[str] = ()) -> dict[str, Any]:
        dumped = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(left_out), warnings=False)
        stated: dict[str, Any] = _without_empty(dumped)
        return stated

    def _checked(self, document: dict[str, Any]) -> dict[str, Any]:
        """`document`, if it is valid: values that were put into a list or a map are not checked earlier."""
        try:
            type(self).model_validate(document)
        except ValidationError as error:
            raise InvalidInput(
                f"this {type(self).__name__} has an invalid value: {first_fault(error)}",
                next_step="Correct the value that was set.",
            ) from None
        return document

    def __eq__(self, other: object) -> bool:
        """Whether `other` is the same kind of document with the same bytes."""
        return isinstance(other, RawBacked) and type(self) is type(other) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]  # a mutable model has no hash


def _with_changes(document: Any, before: Any, after: Any) -> Any:
    """`document`, which was read as `before`, with the changes from `before` to `after`."""
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
    # An absent annotations map and an empty one mean the same; the shorter form is usual.
    if isinstance(value, dict):
        return {k: _without_empty(v) for k, v in value.items() if k not in {"annotations", "urls"} or v not in ({}, [])}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value
