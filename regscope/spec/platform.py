"""Platforms (OCI image-spec, image-index.md, `platform`), and which images run on which platform."""

from __future__ import annotations

import functools
import re

from pydantic import BaseModel, ConfigDict, Field

from regscope.errors import InvalidPlatform

_PART = re.compile("[!-~]+")
_OS_AND_VERSION = re.compile(r"([^()]+)\(([^()]+)\)")  # windows(10.0.17763), as containerd writes it
_NUMBERED = re.compile(r"v?(\d{1,3})(?:\.(\d{1,3}))?")
_OS_NAMES = {"macos": "darwin"}
_ARCHITECTURES = {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle"}
_ARCHITECTURES |= {"ppc64", "ppc64le", "riscv64", "s390x", "sparc64", "wasm"}
_OLDEST_ARM, _OLDEST_ARM64, _LATEST_ARM64 = 5, 8, 9
_ARM_V9_IS_V8 = 5  # Arm's v9.0 includes v8.5
_LAST_CHOICE = 1000


class Platform(BaseModel):
    """Operating system, architecture and variant. Unknown fields are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    architecture: str = ""
    os: str = ""
    os_version: str | None = Field(default=None, alias="os.version")
    os_features: tuple[str, ...] | None = Field(default=None, alias="os.features")
    variant: str | None = None
    features: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse `linux/amd64`, `linux/arm64/v8`, `windows(10.0.17763)/amd64`, or an architecture of Linux: `arm64`.

        Names are kept as written; `covers` and `distance` treat synonyms as equal.

        Raises:
            InvalidPlatform: `text` has another form.
        """
        parts = text.strip().split("/")
        if len(parts) == 1 and _usual(parts[0], "")[0] in _ARCHITECTURES:
            parts = ["linux", *parts]
        if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidPlatform(
                f"{text!r} is not a platform",
                next_step="Write os/architecture[/variant], such as linux/arm64/v8.",
            )
        os, version = parts[0], None
        if (versioned := _OS_AND_VERSION.fullmatch(os)) is not None:
            os, version = versioned.groups()
        return cls(os=os, os_version=version, architecture=parts[1], variant=parts[2] if len(parts) == 3 else None)

    def covers(self, other: Platform) -> bool:
        """Whether `other` is this platform; synonyms are equal, and without a variant this one covers all variants."""
        if not self._has_system_of(other):
            return False
        (architecture, variant), theirs = self._processor, other._processor
        return architecture == theirs[0] and (variant == theirs[1] or self._leaves_variant_open)

    def distance(self, other: Platform) -> int | None:
        """The distance of an image for `other` from this platform: 0 for an exact match; None if it does not run here.

        The rules are those of containerd (containerd/platforms, `Only`), except that the architecture must be the same:
        synonyms are equal, and a processor runs images for older variants: arm/v7 takes v7, then v6, then v5; `arm`
        without a variant is v7. A platform without a variant accepts any other variant last.
        """
        if not self._has_system_of(other):
            return None
        (architecture, variant), (theirs, offered) = self._processor, other._processor
        if architecture != theirs:
            return None
        runs = _runs(architecture, variant)
        if offered in runs:
            return runs.index(offered)
        return _LAST_CHOICE if self._leaves_variant_open else None

    @property
    def _processor(self) -> tuple[str, str]:
        return _usual(self.architecture, self.variant or "")

    @property
    def _leaves_variant_open(self) -> bool:
        return not self.variant and self.architecture.lower() not in ("armhf", "armel")

    def _has_system_of(self, other: Platform) -> bool:
        """Whether both have one operating system; a version, such as 10.0.17763, also covers the versions within it."""
        if _usual_os(self.os) != _usual_os(other.os):
            return False
        return not self.os_version or f"{other.os_version or ''}.".startswith(f"{self.os_version}.")

    def __str__(self) -> str:
        os = f"{self.os}({self.os_version})" if self.os and self.os_version else self.os
        return "/".join(part for part in (os, self.architecture, self.variant) if part)


def _usual_os(name: str) -> str:
    lower = name.lower()
    return _OS_NAMES.get(lower, lower)


def _usual(architecture: str, variant: str) -> tuple[str, str]:
    """Architecture and variant in containerd's normal form (containerd/platforms, database.go)."""
    architecture, variant = architecture.lower(), variant.lower()
    if architecture == "i386":
        return "386", ""
    if architecture in ("x86_64", "x86-64", "amd64"):
        return "amd64", "" if variant in ("v1", "1") else variant
    if architecture in ("aarch64", "arm64"):
        variant = _numbered(variant.removesuffix(".0"))
        return "arm64", "" if variant == "v8" else variant
    if architecture in ("armhf", "armel"):
        return "arm", "v7" if architecture == "armhf" else "v6"
    if architecture == "arm":
        return "arm", _numbered(variant) or "v7"
    return architecture, variant


def _numbered(variant: str) -> str:
    return f"v{variant}" if variant[:1].isdigit() else variant


@functools.lru_cache(maxsize=256)
def _runs(architecture: str, variant: str) -> tuple[str, ...]:
    """The variants whose images a processor runs, the best first, in normal form."""
    number = _NUMBERED.fullmatch(variant)
    if number is None:
        return (variant,)
    major, minor = int(number[1]), int(number[2] or 0)
    if architecture == "amd64":
        older = [f"v{each}" for each in range(major - 1, 0, -1)]
    elif architecture == "arm":
        older = [f"v{each}" for each in range(major - 1, _OLDEST_ARM - 1, -1)]
    elif architecture == "arm64" and _OLDEST_ARM64 <= major <= _LATEST_ARM64:
        older = [f"v{major}.{each}" for each in range(minor - 1, -1, -1)]
        if major == _LATEST_ARM64:
            older += [f"v{_OLDEST_ARM64}.{each}" for each in range(minor + _ARM_V9_IS_V8, -1, -1)]
    else:
        older = []
    return tuple(dict.fromkeys([variant, *(_usual(architecture, each)[1] for each in older)]))


LINUX_AMD64 = Platform(os="linux", architecture="amd64")
