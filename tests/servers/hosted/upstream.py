"""The registry behind a profile, seen from inside: what its API does not tell, and what it cannot do by it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..registry import Registry


class Stored(NamedTuple):
    """A manifest in a repository: its document, the tags on it, and when it was uploaded."""

    digest: str
    document: dict[str, Any]
    tags: list[str]
    uploaded: datetime

    @property
    def media_type(self) -> str:
        return str(self.document.get("mediaType", ""))

    @property
    def children(self) -> list[str]:
        return [entry["digest"] for entry in self.document.get("manifests", ())]

    @property
    def image_size(self) -> int:
        """Config and layers, as the manifest states them (bytes)."""
        parts = [self.document.get("config", {}), *self.document.get("layers", ())]
        return sum(part.get("size", 0) for part in parts)


class Upstream:
    """The files of `registry`."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def repositories(self) -> list[str]:
        """Those that have a manifest."""
        found = self._root.glob("**/_manifests/revisions/sha256/*/link") if self._root.is_dir() else ()
        return sorted({str(link.parents[4].relative_to(self._root)) for link in found})

    def manifests(self, repository: str) -> list[Stored]:
        """All of them, tagged or not, by digest."""
        on = self.tags(repository)
        found = []
        for link in sorted(self._revisions(repository).glob("*/link")):
            with contextlib.suppress(FileNotFoundError):  # it is being deleted
                found.append(self._stored(link, on))
        return found

    def _stored(self, link: Path, on: dict[str, str]) -> Stored:
        digest = f"sha256:{link.parent.name}"
        raw = (self.registry.blobs / "sha256" / link.parent.name[:2] / link.parent.name / "data").read_bytes()
        uploaded = datetime.fromtimestamp(link.stat().st_mtime, UTC)
        tags = sorted(tag for tag, at in on.items() if at == digest)
        return Stored(digest, json.loads(raw), tags, uploaded)

    def tags(self, repository: str) -> dict[str, str]:
        """Each tag, and the digest that it points to."""
        links = (self._root / repository / "_manifests" / "tags").glob("*/current/link")
        found: dict[str, str] = {}
        for link in links:
            with contextlib.suppress(FileNotFoundError):
                found[link.parents[1].name] = link.read_text()
        return found

    def remove_tag(self, repository: str, tag: str) -> bool:
        """Remove a tag alone, which docker-registry cannot; whether it was there."""
        folder = self._root / repository / "_manifests" / "tags" / tag
        if not folder.is_dir():
            return False
        shutil.rmtree(folder)
        return True

    def remaining(self, repository: str, digest: str, tag: str) -> list[str]:
        """The other tags on the manifest of a tag."""
        return [name for name, at in self.tags(repository).items() if at == digest and name != tag]

    def upload_at(self, repository: str, digest: str, when: datetime) -> None:
        """Let a manifest have been uploaded then."""
        link = self._revisions(repository) / digest.removeprefix("sha256:") / "link"
        os.utime(link, (when.timestamp(), when.timestamp()))

    def _revisions(self, repository: str) -> Path:
        return self._root / repository / "_manifests" / "revisions" / "sha256"

    @property
    def _root(self) -> Path:
        return self.registry.storage / "docker" / "registry" / "v2" / "repositories"
