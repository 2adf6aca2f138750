"""Which manifests Quay serves, and the history of tags, which its time machine keeps (quay/quay, data/model)."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .upstream import Upstream


class Ended(NamedTuple):
    """A tag that was deleted or moved: it stays in the history."""

    repository: str
    name: str
    digest: str
    start: datetime
    end: datetime


class TimeMachine:
    """Of the registry whose files are `files`.

    Attributes:
        history: the tags that were deleted or moved.
        temporary: repository and digest of what has a hidden tag for an hour, since it was pushed by its digest
            (config.py, PUSH_TEMP_TAG_EXPIRATION_SEC).
        lock: to be held while tags change.
    """

    def __init__(self, files: Upstream) -> None:
        self._files = files
        self.history: list[Ended] = []
        self.temporary: set[tuple[str, str]] = set()
        self.lock = threading.Lock()

    def alive(self, repository: str) -> set[str]:
        """The digests that are served: tagged, and children of those (oci/manifest.py, _lookup_manifest); what has a
        hidden tag for an hour, and referrers (oci/tag.py, create_temporary_tag_if_necessary)."""
        manifests = {each.digest: each for each in self._files.manifests(repository)}
        subjects = {each.digest: each.document.get("subject", {}).get("digest") for each in manifests.values()}
        roots = {each.digest for each in manifests.values() if each.tags}
        roots |= {digest for digest in manifests if (repository, digest) in self.temporary}
        found: set[str] = set()
        while roots - found:
            found |= roots
            roots |= {child for digest in roots for child in manifests[digest].children if child in manifests}
            roots |= {digest for digest, subject in subjects.items() if subject in roots}
        return found

    def starts(self, repository: str) -> dict[str, datetime]:
        """When each tag was set."""
        return {tag: each.uploaded for each in self._files.manifests(repository) for tag in each.tags}

    def end(self, repository: str, names: Collection[str]) -> None:
        """Delete tags: they go into the history."""
        tags, starts, now = self._files.tags(repository), self.starts(repository), datetime.now(UTC)
        for name in names:
            self.history.append(Ended(repository, name, tags[name], starts[name], now - timedelta(seconds=1)))
            self._files.remove_tag(repository, name)

    def ended(self, repository: str, name: str) -> bool:
        """Whether the history has such a tag."""
        return any((each.repository, each.name) == (repository, name) for each in self.history)
