"""The digest that a registry states for a manifest (`Docker-Content-Digest`), and whether it is reliable."""

from __future__ import annotations

import threading
import warnings

from regscope.errors import DigestWarning, InvalidDigest
from regscope.registry.answer import Answer
from regscope.registry.origin import without_secrets
from regscope.spec.digest import Digest
from regscope.text import plain


class StatedDigests:
    """The digests that one registry states.

    Attributes:
        are_believed: True until a stated digest differed from that of the manifest in the same answer.
    """

    def __init__(self) -> None:
        self.are_believed = True
        self._has_warned = False
        self._lock = threading.Lock()

    def read(self, response: Answer) -> Digest | None:
        """The digest that an answer states; None where it states none, or an invalid one.

        Quotes, upper case and a repeated value, as proxies add them, are accepted.

        Warns:
            DigestWarning: at the first invalid one.
        """
        stated = response.headers.get("Docker-Content-Digest")
        if not stated:
            return None
        try:
            return Digest(stated)
        except InvalidDigest as error:
            self._warn(response, error.message)
        parts = {part.strip().strip('"').lower() for part in stated.split(",")}
        try:
            return Digest(parts.pop()) if len(parts) == 1 else None
        except InvalidDigest:
            return None

    def doubt(self, response: Answer, stated: Digest, found: Digest) -> None:
        """Ignore stated digests from now on: an answer stated another digest than that of its manifest.

        Warns:
            DigestWarning: unless one was shown before.
        """
        self.are_believed = False
        self._warn(response, f"{stated}, of a manifest whose digest is {found}")

    def _warn(self, response: Answer, what: str) -> None:
        with self._lock:
            if self._has_warned:
                return
            self._has_warned = True
        message = f"the Docker-Content-Digest of {without_secrets(response.url)} is wrong: {plain(what, 300)}"
        warnings.warn(DigestWarning(f"{message}. The manifests themselves are asked for, and hashed."), stacklevel=2)
