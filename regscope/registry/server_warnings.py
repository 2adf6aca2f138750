"""Warnings of a registry (distribution-spec, Warnings): each is shown once, and none is acted on."""

from __future__ import annotations

import re
import threading
import warnings

from regscope.errors import RegistryWarning
from regscope.registry.origin import without_secrets
from regscope.text import plain

_WARNING = re.compile(r'(?:^|,)\s*299\s+[^\s"]+\s+"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_MOST = 100  # different texts; later ones are not shown, in case a registry sends a new one with each answer


class ServerWarnings:
    """The warnings of one registry."""

    def __init__(self) -> None:
        self._shown: set[str] = set()
        self._lock = threading.Lock()

    def show(self, header: str, url: str) -> None:
        """Show the texts of the `Warning` fields of an answer from `url` that were not shown before."""
        for quoted in _WARNING.findall(header):
            said = plain(_ESCAPE.sub(r"\1", quoted), 300)
            with self._lock:
                if said in self._shown or len(self._shown) >= _MOST:
                    continue
                self._shown.add(said)
            warnings.warn(RegistryWarning(f"{without_secrets(url)}: {said}"), stacklevel=2)
