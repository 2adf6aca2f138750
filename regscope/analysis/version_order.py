"""The order of versions: of packages by the rules of their manager, of tags by those of semantic versions."""

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
    """`upgraded` or `downgraded`; `changed` where the versions are equal, or their order is not known.

    dpkg's and rpm's versions have an order always; those of Python, npm and apk where they are numbers and dots.
    """
    old, new = _keys(manager, before, after)
    if old is None or new is None or old == new:
        return "changed"
    return "upgraded" if old < new else "downgraded"


def semantic_order(tags: Iterable[str]) -> Ints:
    """The order of tags that are semantic versions (semver.org, 11), a missing minor or patch being 0.

    The tags `1.10`, `1.9`, `latest` and `v1.10.0` have the places 1, 0, `NO_VERSION` and 1.
    """
    keys = [_semantic_version(tag) for tag in tags]
    order = {key: number for number, key in enumerate(sorted({key for key in keys if key is not None}))}
    return np.array([NO_VERSION if key is None else order[key] for key in keys], dtype=np.int64)


def natural_order(version: str) -> Any:
    """A sort key for any version: its numbers count as numbers."""
    return _rpm_part(version), version


def _keys(manager: str, before: str, after: str) -> tuple[Any, Any]:
    """What has the order of both versions; None where that is not known."""
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
    """Epoch, version proper and revision (rpm: release); empty where there is none."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "", version
    upstream, hyphen, revision = rest.rpartition("-")
    return (epoch or "0", upstream, revision) if hyphen else (epoch or "0", rest, "")


def _numbers(manager: str, version: str) -> Any:
    """Numbers and dots, and apk's revision; None for anything else."""
    found = _NUMBERS.fullmatch(version)
    if found is None or (found[2] and manager != "apk"):
        return None
    release = [int(number) for number in found[1].split(".")]
    while manager == "python" and release and not release[-1]:  # 1.0 is 1 (PEP 440, Version comparisons)
        release.pop()
    return release, int(found[2] or 0)


def _dpkg_part(text: str) -> list[Any]:
    """Of what is no digit, then of digits, in turns (deb-version(7)): `~` before the end, the end before letters."""
    return [
        ([*(_dpkg_order(character) for character in others), 0], _number(digits))
        for others, digits in _PARTS.findall(text)
    ]


def _padded(one: list[Any], other: list[Any]) -> tuple[list[Any], list[Any]]:
    """Both with as many turns: what is not there is nothing and zero."""
    nothing, most = ([0], _number("")), max(len(one), len(other))
    return one + [nothing] * (most - len(one)), other + [nothing] * (most - len(other))


def _dpkg_order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 0x110000


def _rpm_part(text: str) -> list[Any]:
    """Segments (rpm-version(7)): `~` before the end, the end before `^`, that before letters, these before numbers."""
    ranks = {"~": 0, "^": 2}
    segments: list[Any] = [
        (4, _number(segment)) if segment[0].isdigit() else (ranks.get(segment, 3), (0, segment))
        for segment in _SEGMENTS.findall(text)
    ]
    return [*segments, (1, (0, ""))]


def _number(digits: str) -> tuple[int, str]:
    """A number's order without its value: Python turns no thousands of digits into one."""
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
