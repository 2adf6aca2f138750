"""dpkg's list of packages, and distroless images' description of each (dpkg-query(1), deb-control(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator

from regscope.layers.packages.stanzas import stanzas

LISTS = ("var/lib/dpkg/status",)
FOLDER = "var/lib/dpkg/status.d/"

_FIELDS = re.compile(rb"^(Package|Status|Version|Architecture):(.*)$", re.MULTILINE)
_INSTALLED = ("installed", "triggers-awaited", "triggers-pending")


def is_description(path: str) -> bool:
    """Whether a file below `FOLDER` describes a package."""
    return not path.endswith(".md5sums")


def packages(content: bytes) -> Iterator[tuple[str, str, str | None]]:
    """The installed packages: not half installed ones, nor removed ones whose configuration is left."""
    for stanza in stanzas(content, _FIELDS):
        if stanza.get("Status", "installed").rpartition(" ")[2] in _INSTALLED:  # distroless images state none
            yield stanza.get("Package", ""), stanza.get("Version", ""), stanza.get("Architecture")
