"""Which of two versions of a package is the newer, by the rules of its manager."""

from __future__ import annotations

import re
from typing import Any

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_SEGMENTS = re.compile(r"[0-9]+|[A-Za-z]+|[~^]")
_NUMBERS = re.compile(r"((?:0|[1-9][0-9]{0,17})(?:\.(?:0|[1-9][0-9]{0,17}))*)(?:-r([0-9]{1,18}))?")


def version_change(manager: str, before: str, after: str) -> str:
    """`upgraded` or `downgraded`; `changed` where the versions are equal, or their order is not known.

    dpkg's and rpm's versions have an order always; those of Python, npm and apk where they are numbers and dots.
    """
    old, new = _key(manager, before), _key(manager, after)
    if old is None or new is None or old == new:
        return "changed"
    return "upgraded" if old < new else "downgraded"


def natural_order(version: str) -> Any:
    """A sort key for any version: its numbers count as numbers."""
    return _rpm_part(version), version


def _key(manager: str, version: str) -> Any:
    if manager in ("dpkg", "rpm"):
        part = _dpkg_part if manager == "dpkg" else _rpm_part
        epoch, colon, rest = version.partition(":")
        if not colon:
            epoch, rest = "", version
        upstream, hyphen, revision = rest.rpartition("-")
        if not hyphen:
            upstream, revision = rest, ""
        return part(epoch or "0"), part(upstream), part(revision)
    numbers = _NUMBERS.fullmatch(version)
    if numbers is None or (numbers[2] and manager != "apk"):
        return None
    release = [int(number) for number in numbers[1].split(".")]
    while manager == "python" and release and not release[-1]:  # 1.0 is 1 (PEP 440, Version comparisons)
        release.pop()
    return release, int(numbers[2] or 0)


def _dpkg_part(text: str) -> list[Any]:
    """Of what is no digit, then of digits, in turns (deb-version(7)): `~` before the end, the end before letters."""
    pairs = [
        ([*(_dpkg_order(character) for character in others), 0], _number(digits))
        for others, digits in _PARTS.findall(text)
    ]
    end = ([0], _number(""))
    while pairs and pairs[-1] == end:
        pairs.pop()
    return [*pairs, end]


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
