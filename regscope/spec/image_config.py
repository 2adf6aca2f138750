"""Image configs (OCI image-spec, config.md): the platform, the settings of a container, the layers, the history."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from regscope.errors import InvalidConfig
from regscope.spec.descriptor import NullAsEmptyList, StringMap, Strings
from regscope.spec.digest import Digest
from regscope.spec.lenient_reading import first_fault
from regscope.spec.manifest import json_object
from regscope.spec.raw_backed import RawBacked

_USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DATETIME: TypeAdapter[datetime] = TypeAdapter(datetime)


def parse_time(value: Any) -> datetime | None:
    """An RFC 3339 time, in UTC; None where it is absent, invalid, or Go's zero time (year 1)."""
    if not isinstance(value, str | datetime):
        return None
    try:
        if isinstance(value, str) and _USUAL_TIME.fullmatch(value):
            moment = datetime.fromisoformat(value)
        else:
            moment = _DATETIME.validate_python(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # pydantic's ValidationError is a ValueError
        return None
    return moment if moment.year > 1 else None


Time = Annotated[datetime | None, BeforeValidator(parse_time)]


class HealthConfig(BaseModel):
    """The health check of a container; times are in nanoseconds."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    Test: Strings = Field(default_factory=list)
    Interval: int | None = None
    Timeout: int | None = None
    StartPeriod: int | None = None
    Retries: int | None = None


class ContainerConfig(BaseModel):
    """The `config` object: the settings of a container of the image."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    User: str | None = None
    ExposedPorts: dict[str, Any] | None = None
    Env: list[str] | None = None
    Entrypoint: list[str] | None = None
    Cmd: list[str] | None = None
    Volumes: dict[str, Any] | None = None
    WorkingDir: str | None = None
    Labels: StringMap = Field(default_factory=dict)
    StopSignal: str | None = None
    Healthcheck: HealthConfig | None = None


class RootFS(BaseModel):
    """The diff_ids of the layers (digests of their uncompressed tars), lowest first."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    type: str = "layers"
    diff_ids: Annotated[list[Digest], NullAsEmptyList] = Field(default_factory=list)


class History(BaseModel):
    """One build step; a step with `empty_layer` made no layer."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    created: Time = None
    author: str | None = None
    created_by: str | None = None
    comment: str | None = None
    empty_layer: bool | None = False


class ImageJSON(RawBacked):
    """An image config. Unknown fields are kept, and `raw` is the document's bytes."""

    _needed: ClassVar[Collection[str]] = ()
    created: Time = None
    author: str | None = None
    architecture: str = ""
    os: str = ""
    variant: str | None = None
    config: Annotated[ContainerConfig, BeforeValidator(lambda value: {} if value is None else value)] = Field(
        default_factory=ContainerConfig
    )
    rootfs: RootFS = Field(default_factory=RootFS)
    history: Annotated[list[History], NullAsEmptyList] = Field(default_factory=list)

    @property
    def names_unreadable_time(self) -> bool:
        """Whether `created` has a value that is not a valid time."""
        if self.created is not None:
            return False
        stated = from_json(self.raw if self._raw is None else self._raw).get("created")
        return stated not in (None, "") and not str(stated).startswith("0001-")


def parse_image_config(raw: bytes) -> ImageJSON:
    """The image config in `raw`.

    Raises:
        InvalidConfig: `raw` is not a JSON object, or has invalid values that cannot be ignored.
    """
    document = json_object(raw, "an image config", InvalidConfig)
    try:
        return ImageJSON.from_document(document, raw)
    except ValidationError as error:
        raise InvalidConfig(f"not a valid image config: {first_fault(error)}") from None


def chain_ids(diff_ids: Iterable[str]) -> list[Digest]:
    """The chain_id of each layer, which names it with all layers below (OCI image-spec, config.md, Layer ChainID)."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        if not chain:
            chain.append(Digest(diff_id))
        else:
            joined = hashlib.sha256(f"{chain[-1]} {diff_id}".encode()).hexdigest()
            chain.append(Digest(f"sha256:{joined}"))
    return chain
