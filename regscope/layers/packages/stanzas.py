"""Stanzas: lines of `Field: value`, ended by an empty line, as dpkg and apk write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_STANZA = re.compile(rb"(?:[^\n]++\n?+)++")


def stanzas(content: bytes, fields: re.Pattern[bytes]) -> Iterator[dict[str, str]]:
    """The fields of each stanza that `fields` finds as two groups: name and value."""
    for stanza in _STANZA.finditer(content):
        yield {name.decode(): value.decode("utf-8", "replace").strip() for name, value in fields.findall(stanza[0])}
