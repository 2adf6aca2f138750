"""The content of a `DemoRegistry`, and what it reads from manifests."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from typing import Any

from regscope.errors import InvalidDigest
from regscope.spec.digest import Digest
from regscope.text import plain


@dataclass
class Kept:
    """The content of the registry by digest; for each repository its tags, and the media types of its manifests."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], str] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    alone: threading.Lock = field(default_factory=threading.Lock)


def is_digest(text: str) -> bool:
    with contextlib.suppress(InvalidDigest):
        Digest(text)
        return True
    return False


def digest_like(content: bytes, wanted: str) -> Digest | None:
    """The digest of `content`, if it is `wanted`."""
    return Digest(wanted) if is_digest(wanted) and Digest(wanted).matches(content) else None


def document_of(raw: bytes) -> dict[str, Any] | None:
    """A manifest as a JSON object; None where it is none."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def subject_of(document: dict[str, Any]) -> str | None:
    """The digest of a manifest's subject."""
    subject = document.get("subject")
    digest = subject.get("digest") if isinstance(subject, dict) else None
    return plain(digest, 200) if isinstance(digest, str) else None


def span_of(first: str, last: str, size: int) -> tuple[int, int]:
    """The bytes of a Range header (RFC 9110, 14.1.2): the first one, and the one after the last."""
    if not first:
        return max(size - int(last), 0), size
    if last and int(last) < int(first):
        return 0, 0
    return int(first), min(int(last) + 1, size) if last else size


def needed_by(digest: str, raw: bytes) -> set[str]:
    """A manifest's digest, and those of all that it names."""
    manifest = document_of(raw) or {}
    named = (manifest.get("config") or {}, *(manifest.get("layers") or ()), *(manifest.get("manifests") or ()))
    return {digest, *(each["digest"] for each in named if "digest" in each)}
