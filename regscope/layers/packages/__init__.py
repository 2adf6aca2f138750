"""Installed packages, from the files in which package managers list them: dpkg, apk, rpm, Python and npm.

A damaged or hostile file is no error: it gives fewer rows, or none.
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
    """The package manager whose list of packages, or description of one, has this path; None for other paths."""
    if path.endswith("/package.json"):
        return "npm" if npm.is_description(path) else None
    if path.endswith(python.DESCRIPTIONS):
        return "python"
    if path.startswith(dpkg.FOLDER):
        return "dpkg" if dpkg.is_description(path) else None
    return _LISTS.get(path)


def packages_in(manager: str, path: str, content: bytes, budget: Budget | None = None) -> list[Row]:
    """The packages that a file lists as installed: rows of `packages`, without the layer's digest.

    Args:
        manager: as `package_list` names it.
        path: of the file.
        content: the whole file.
        budget: of the layer, for work that grows faster than the file's lines.

    Returns:
        Path, manager, name, version and architecture (None where the manager has none). No rows for a file of more
        than `MOST_BYTES`, a damaged one, or one without names and versions.

    Raises:
        TooLarge: the layer exceeds its budget.
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
    """Text without lone surrogates, which JSON can have and Arrow cannot."""
    return found if found.isascii() else _LONE_SURROGATE.sub("\ufffd", found)
