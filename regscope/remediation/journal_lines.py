"""The lines of a journal, each a JSON object."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

_Bytes = Annotated[int, Field(ge=0, lt=2**63)]


class _Line(BaseModel):
    model_config = ConfigDict(strict=True)


class Version(_Line):
    """The first field of the first line: the format of the file."""

    regscope_journal: int


class Head(_Line):
    """The first line: the store, the plan and the start of the run."""

    location: str
    plan: str
    started: AwareDatetime


class Begun(_Line):
    """A step that is about to be done."""

    repository: str
    action: Literal["untag", "delete"]
    tags: tuple[str, ...]
    digest: str
    media_type: str | None
    raw: str
    frees: _Bytes
    native_id: str | None = None


class Done(_Line):
    """The key of a step that was done."""

    done: str


class Planned(_Line):
    """The marks of the plan's steps, see `journal_marks`."""

    planned: str


class Backup(_Line):
    """The location of the backup."""

    backup: str


class Expected(_Line):
    """The blobs that are to be freed, and those that stay: see `Predicted` and `Shared`."""

    predicted: list[tuple[str, _Bytes, _Bytes]]
    shared: list[tuple[str, _Bytes, str]]


class Looked(_Line):
    """The number of manifests and blobs checked before the first change, and the lacking ones: see `Lacked`."""

    asked: _Bytes
    lacked: list[tuple[str, str, str, str, bool]]


class StandIn(_Line):
    """A temporary manifest that the step with this key is about to push over its tag."""

    stand_in: str
    step: str
