"""Alpine's list of installed packages (apk-package(5), "installed database")."""

from __future__ import annotations

import re
from collections.abc import Iterator

from regscope.layers.packages.stanzas import stanzas

LISTS = ("lib/apk/db/installed", "usr/lib/apk/db/installed")

_FIELDS = re.compile(rb"^([PVA]):(.*)$", re.MULTILINE)


def packages(content: bytes) -> Iterator[tuple[str, str, str | None]]:
    """All packages in the list: apk lists installed ones only."""
    for stanza in stanzas(content, _FIELDS):
        yield stanza.get("P", ""), stanza.get("V", ""), stanza.get("A")
