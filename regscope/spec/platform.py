"""Platforms (OCI image-spec, image-index.md, platform): what an image runs on."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

from regscope.errors import InvalidPlatform

_PART = re.compile("[!-~]+")


class Platform(BaseModel):
    """Operating system, architecture and variant. Unknown fields survive."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    architecture: str = ""
    os: str = ""
    os_version: str | None = Field(default=None, alias="os.version")
    os_features: tuple[str, ...] | None = Field(default=None, alias="os.features")
    variant: str | None = None
    features: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """`linux/amd64` or `linux/arm64/v8`.

        Raises:
            InvalidPlatform: anything else.
        """
        parts = text.strip().split("/")
        if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidPlatform(
                f"{text!r} is not a platform",
                next_step="Write os/architecture[/variant], such as linux/arm64/v8.",
            )
        return cls(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else None)

    def covers(self, other: Platform) -> bool:
        """Whether `other` is this platform; a variant that this one leaves open may be any."""
        same = (self.os, self.architecture) == (other.os, other.architecture)
        return same and (self.variant is None or self.variant == other.variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)
