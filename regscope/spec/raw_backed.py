"""Documents as models that remember the very bytes they were read from."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from regscope.spec.digest import Digest
from regscope.spec.lenient_reading import NEEDED, read_without_faults


class RawBacked(BaseModel):
    """A model of a document, and the document's bytes."""

    model_config = ConfigDict(extra="allow", frozen=True)
    _needed: ClassVar[Collection[str]] = NEEDED
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
        model._raw = raw
        return model

    @property
    def faults(self) -> tuple[str, ...]:
        """What was left out since it could not be read: where it stood, and what is wrong with it."""
        faults: tuple[str, ...] = (self.__pydantic_private__ or {}).get("_faults", ())
        return faults

    @property
    def raw(self) -> bytes:
        """The exact bytes that were read; for a model built by hand its JSON, without fields left at None."""
        if self._raw is None:
            document = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=False)
            self._raw = json.dumps(_without_empty(document), separators=(",", ":")).encode()
        return self._raw

    @property
    def digest(self) -> Digest:
        """The sha256 digest of `raw`."""
        return Digest.of(self.raw)

    def __eq__(self, other: object) -> bool:
        """Whether `other` is the same kind of document with the same bytes."""
        return isinstance(other, RawBacked) and type(self) is type(other) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def model_copy(self, *, update: Any = None, deep: bool = False) -> Self:
        """A copy; one with `update` forgets the bytes, since they are no longer its own."""
        copy = super().model_copy(update=update, deep=deep)
        if update:
            copy._raw = None
        return copy


def _without_empty(value: Any) -> Any:
    # An absent annotations map and an empty one mean the same; the shorter form is the customary one.
    if isinstance(value, dict):
        return {k: _without_empty(v) for k, v in value.items() if k not in {"annotations", "urls"} or v not in ({}, [])}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value
