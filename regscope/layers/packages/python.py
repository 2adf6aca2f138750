"""Descriptions of installed Python distributions (Core metadata; Recording installed projects)."""

from __future__ import annotations

import re
from collections.abc import Iterator

DESCRIPTIONS = (".dist-info/METADATA", ".egg-info/PKG-INFO", ".egg-info")

_MOST_BYTES = 2**16  # name and version are the first fields
_FIELDS = re.compile(rb"^(Name|Version):(.*)$", re.MULTILINE)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")


def packages(content: bytes) -> Iterator[tuple[str, str, str | None]]:
    """The described package."""
    headers = _END_OF_HEADERS.split(content[:_MOST_BYTES], maxsplit=1)[0]
    found = {field: value.decode("utf-8", "replace").strip() for field, value in reversed(_FIELDS.findall(headers))}
    yield found.get(b"Name", ""), found.get(b"Version", ""), None
