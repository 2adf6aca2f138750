"""The lines of a journal, as JSON has them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

_Bytes = Annotated[int, Field(ge=0, lt=2**63)]


class _Line(BaseModel):
    model_config = ConfigDict(strict=True)


class Version(_Line):
    """The beginning of the first line: which format the file has."""

    regscope_journal: int


class Head(_Line):
    """The first line: whose journal it is."""

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


class Done(_Line):
    """The key of a step that was done."""

    done: str


class Planned(_Line):
    """The marks of the plan's steps, see `journal_marks`."""

    planned: str


class Backup(_Line):
    """Where all was copied to before."""

    backup: str


class Expected(_Line):
    """Which blobs are to be freed, and which stay: see `Predicted` and `Shared`."""

    predicted: list[tuple[str, _Bytes, _Bytes]]
    shared: list[tuple[str, _Bytes, str]]


class Looked(_Line):
    """How many manifests and blobs were asked for before the first change; and which were lacking: see `Lacked`."""

    asked: _Bytes
    lacked: list[tuple[str, str, str, str, bool]]


class StandIn(_Line):
    """A manifest that is about to be pushed over a tag, by the step with this key."""

    stand_in: str
    step: str
