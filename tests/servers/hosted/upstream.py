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


class Taken(NamedTuple):
    """A manifest that is about to be deleted, with all that is needed to give it back."""

    repository: str
    digest: str
    tags: list[str]
    uploaded: datetime
    blobs: dict[str, bytes]


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
        raw = self._data(digest).read_bytes()
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

    def set_tag(self, repository: str, tag: str, digest: str) -> None:
        """Let a tag point to a manifest that the repository has."""
        folder = self._root / repository / "_manifests" / "tags" / tag
        for link in (folder / "current" / "link", folder / "index" / "sha256" / digest.partition(":")[2] / "link"):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.write_text(digest)

    def remaining(self, repository: str, digest: str, tag: str) -> list[str]:
        """The other tags on the manifest of a tag."""
        return [name for name, at in self.tags(repository).items() if at == digest and name != tag]

    def upload_at(self, repository: str, digest: str, when: datetime) -> None:
        """Let a manifest have been uploaded then."""
        link = self._revisions(repository) / digest.removeprefix("sha256:") / "link"
        os.utime(link, (when.timestamp(), when.timestamp()))

    def taken(self, repository: str, digest: str) -> Taken:
        """The manifest and its blobs, as far as they are there."""
        (stored,) = (each for each in self.manifests(repository) if each.digest == digest)
        named = [
            stored.document.get("config"),
            *stored.document.get("layers", ()),
            *stored.document.get("manifests", ()),
        ]
        blobs = [entry["digest"] for entry in named if entry and self._layer(repository, entry["digest"]).is_file()]
        files = {name: self._data(name) for name in (digest, *blobs)}
        contents = {name: file.read_bytes() for name, file in files.items() if file.is_file()}
        return Taken(repository, digest, stored.tags, stored.uploaded, contents)

    def give_back(self, taken: Taken, with_tags: bool = True) -> None:
        """Undo the deletion of a manifest, in the files: no registry would take an index that lacks a child."""
        for name, content in taken.blobs.items():
            _write(self._data(name), content)
            if name != taken.digest:
                _write(self._layer(taken.repository, name), name.encode())
        link = self._revisions(taken.repository) / taken.digest.removeprefix("sha256:") / "link"
        _write(link, taken.digest.encode())
        self.upload_at(taken.repository, taken.digest, taken.uploaded)
        for tag in taken.tags if with_tags else ():
            folder = self._root / taken.repository / "_manifests" / "tags" / tag
            _write(folder / "current" / "link", taken.digest.encode())
            _write(folder / "index" / "sha256" / taken.digest.removeprefix("sha256:") / "link", taken.digest.encode())

    def _data(self, digest: str) -> Path:
        hexadecimal = digest.removeprefix("sha256:")
        return self.registry.blobs / "sha256" / hexadecimal[:2] / hexadecimal / "data"

    def _layer(self, repository: str, digest: str) -> Path:
        return self._root / repository / "_layers" / "sha256" / digest.removeprefix("sha256:") / "link"

    def _revisions(self, repository: str) -> Path:
        return self._root / repository / "_manifests" / "revisions" / "sha256"

    @property
    def _root(self) -> Path:
        return self.registry.storage / "docker" / "registry" / "v2" / "repositories"


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
