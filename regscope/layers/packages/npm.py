"""Descriptions of installed npm packages (npm's package.json and folders)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_MOST_BYTES = 2**20
_NAME = r"(?:@[^/]+/)?[^/@.][^/]*/"
# A node_modules folder elsewhere than in a package, or in pnpm's store, belongs to a test.
_DESCRIPTION = re.compile(rf"node_modules/(?:(?:\.pnpm/[^/]+/|{_NAME})node_modules/)*+{_NAME}package\.json")


def is_description(path: str) -> bool:
    """Whether a package.json describes an installed package."""
    start = 0 if path.startswith("node_modules/") else path.find("/node_modules/") + 1
    return _DESCRIPTION.fullmatch(path, start) is not None


def packages(content: bytes) -> Iterator[tuple[str, str, str | None]]:
    """The described package, where it has a name and a version."""
    if len(content) > _MOST_BYTES:
        return
    try:
        described = json.loads(content)
    except (ValueError, RecursionError):
        return
    if isinstance(described, dict):
        name, version = described.get("name"), described.get("version")
        if isinstance(name, str) and isinstance(version, str):
            yield name, version, None
