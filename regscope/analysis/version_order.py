"""The order of versions: of packages by the rules of their manager, of tags by semantic versioning."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from regscope.arrays import Ints

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_SEGMENTS = re.compile(r"[0-9]+|[A-Za-z]+|[~^]")
_NUMBERS = re.compile(r"((?:0|[1-9][0-9]{0,17})(?:\.(?:0|[1-9][0-9]{0,17}))*)(?:-r([0-9]{1,18}))?")
_SEMANTIC_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:[+_][0-9A-Za-z.-]+)?")
NO_VERSION = np.iinfo(np.int64).min


def version_change(manager: str, before: str, after: str) -> str:
    """`upgraded` or `downgraded`; `changed` if the versions are equal, or their order is not known.

    Versions of dpkg and rpm always have an order; those of Python, npm and apk if they consist of numbers and dots.
    """
    old, new = _keys(manager, before, after)
    if old is None or new is None or old == new:
        return "changed"
    return "upgraded" if old < new else "downgraded"


def semantic_order(tags: Iterable[str]) -> Ints:
    """The rank of each tag that is a semantic version (semver.org, 11); a missing minor or patch number counts as 0.

    The tags `1.10`, `1.9`, `latest` and `v1.10.0` have the ranks 1, 0, `NO_VERSION` and 1.
    """
    keys = [_semantic_version(tag) for tag in tags]
    order = {key: number for number, key in enumerate(sorted({key for key in keys if key is not None}))}
    return np.array([NO_VERSION if key is None else order[key] for key in keys], dtype=np.int64)


def natural_order(version: str) -> Any:
    """A sort key for any version; its digits are compared as numbers."""
    return _rpm_part(version), version


def _keys(manager: str, before: str, after: str) -> tuple[Any, Any]:
    """Two keys with the order of both versions; None if the order is not known."""
    versions = (before, after)
    if manager == "dpkg":
        parts = zip(*(map(_dpkg_part, _split(version)) for version in versions), strict=True)
        return tuple(zip(*(_padded(*pair) for pair in parts), strict=True))
    if manager == "rpm":
        old, new = (list(map(_rpm_part, _split(version))) for version in versions)
    else:
        old, new = (_numbers(manager, version) for version in versions)
    return old, new


def _split(version: str) -> tuple[str, str, str]:
    """Epoch, upstream version and revision (rpm: release); empty if missing."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "", version
    upstream, hyphen, revision = rest.rpartition("-")
    return (epoch or "0", upstream, revision) if hyphen else (epoch or "0", rest, "")


def _numbers(manager: str, version: str) -> Any:
    """The numbers of a version of numbers and dots, and apk's revision; None for any other version."""
    found = _NUMBERS.fullmatch(version)
    if found is None or (found[2] and manager != "apk"):
        return None
    release = [int(number) for number in found[1].split(".")]
    while manager == "python" and release and not release[-1]:  # 1.0 is 1 (PEP 440, Version comparisons)
        release.pop()
    return release, int(found[2] or 0)


def _dpkg_part(text: str) -> list[Any]:
    """A key of alternating non-digits and digits (deb-version(7)): `~` before the end, the end before letters."""
    return [
        ([*(_dpkg_order(character) for character in others), 0], _number(digits))
        for others, digits in _PARTS.findall(text)
    ]


def _padded(one: list[Any], other: list[Any]) -> tuple[list[Any], list[Any]]:
    """Both keys with equal length: missing parts are filled with no characters and zero."""
    nothing, most = ([0], _number("")), max(len(one), len(other))
    return one + [nothing] * (most - len(one)), other + [nothing] * (most - len(other))


def _dpkg_order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 0x110000


def _rpm_part(text: str) -> list[Any]:
    """A key of segments (rpm-version(7)): `~` before the end, then the end, `^`, letters, and numbers."""
    ranks = {"~": 0, "^": 2}
    segments: list[Any] = [
        (4, _number(segment)) if segment[0].isdigit() else (ranks.get(segment, 3), (0, segment))
        for segment in _SEGMENTS.findall(text)
    ]
    return [*segments, (1, (0, ""))]


def _number(digits: str) -> tuple[int, str]:
    """A key with the order of a number; Python refuses to convert thousands of digits to an int."""
    significant = digits.lstrip("0")
    return len(significant), significant


def _semantic_version(tag: str) -> Any:
    found = _SEMANTIC_VERSION.fullmatch(tag)
    if found is None:
        return None
    numbers = tuple(int(found[part] or 0) for part in (1, 2, 3))
    if found[4] is None:
        return numbers, 1, ()
    parts = found[4].split(".")
    return numbers, 0, tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
