"""Installed packages, as package managers list or describe them in files: dpkg, apk, rpm, Python and npm.

Whatever a file holds, it gives rows or none: a damaged or hostile one is no error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeAlias

from regscope.layers.budget import Budget
from regscope.layers.packages import apk, dpkg, npm, python, rpm

MOST_BYTES = 64 * 2**20
"""Of a list or description; a larger one is not looked into."""
_MOST_PACKAGES = 200_000
_MOST_TEXT = 1000  # characters of a name or version

Row: TypeAlias = tuple[str, str, str, str, str | None]
"""Path, manager, name, version, architecture."""
Package: TypeAlias = tuple[str, str, str | None]
"""Name, version, architecture."""

_LISTS = dict.fromkeys(dpkg.LISTS, "dpkg") | dict.fromkeys(apk.LISTS, "apk") | dict.fromkeys(rpm.LISTS, "rpm")
_READERS: dict[str, Callable[[bytes], Iterable[Package]]] = {
    "dpkg": dpkg.packages,
    "apk": apk.packages,
    "rpm": rpm.packages,
    "python": python.packages,
    "npm": npm.packages,
}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def package_list(path: str) -> str | None:
    """The manager whose list of packages, or description of one, this path is; None for any other."""
    if path.endswith("/package.json"):
        return "npm" if npm.is_description(path) else None
    if path.endswith(python.DESCRIPTIONS):
        return "python"
    if path.startswith(dpkg.FOLDER):
        return "dpkg" if dpkg.is_description(path) else None
    return _LISTS.get(path)


def packages_in(manager: str, path: str, content: bytes, budget: Budget | None = None) -> list[Row]:
    """The packages that a file says are installed: rows of `packages` after its layer's digest.

    Args:
        manager: as `package_list` names it.
        path: of the file.
        content: all of it.
        budget: of its layer, for what takes longer than its lines do.

    Returns:
        Path, manager, name, version and architecture (None where the manager names none); no rows of what can't be
        read: more than `MOST_BYTES`, damaged, or without names and versions.

    Raises:
        TooLarge: the layer has more to look into than its budget allows.
    """
    if len(content) > MOST_BYTES:
        return []
    if manager == "rpm":
        (budget or Budget()).take("lines", rpm.AS_LINES)
    found = islice(_READERS[manager](content), _MOST_PACKAGES)
    return [
        (path, manager, _text(name), _text(version), _text(architecture) if architecture else None)
        for name, version, architecture in found
        if 0 < len(name) <= _MOST_TEXT and 0 < len(version) <= _MOST_TEXT
    ]


def _text(found: str) -> str:
    """JSON can name half a character, which no table takes."""
    return found if found.isascii() else _LONE_SURROGATE.sub("\ufffd", found)
