"""Referrers in a registry without the referrers API: an index under a tag (distribution-spec, Referrers Tag Schema)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from regscope.errors import InvalidManifest, RegscopeError, ResourceNotFound
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.manifest_push import push_manifest
from regscope.registry.manifest_reader import ManifestReader
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIIndex
from regscope.spec.referring import fallback_tag

_MOST_ATTEMPTS = 20
_LOOKS = 2  # after a push, to detect that another client has replaced the index
_PAUSE = 0.05  # seconds; at random up to twice as many


class ReferrerList:
    """The index under the fallback tag of one subject.

    Registries have no conditional update of a tag: so the index is read again shortly after a change, and the change is
    repeated if another client wrote at the same time.
    """

    def __init__(
        self, client: DockerRegistryV2Client, repository: str, subject: Digest, timeout: AskTimeout = "default"
    ) -> None:
        self._at = ManifestReader(repository, fallback_tag(subject), client, timeout=timeout)

    def add(self, referrer: Descriptor) -> None:
        """Add a referrer to the index, and check that it stays.

        Raises:
            InvalidManifest: the manifest under the tag is not an index.
            RequestError: the index cannot be read or pushed.
        """

        def with_it(entries: Sequence[Descriptor]) -> list[Descriptor] | None:
            return None if any(entry.digest == referrer.digest for entry in entries) else [*entries, referrer]

        self._until_it_stays(with_it)

    def remove(self, digest: Digest) -> None:
        """Remove a referrer from the index, if it is listed.

        Raises:
            InvalidManifest: the manifest under the tag is not an index.
            RequestError: the index cannot be read or pushed.
        """

        def without_it(entries: Sequence[Descriptor]) -> list[Descriptor] | None:
            kept = [entry for entry in entries if entry.digest != digest]
            return kept if len(kept) < len(entries) else None

        self._until_it_stays(without_it)

    def _until_it_stays(self, change: Callable[[Sequence[Descriptor]], list[Descriptor] | None]) -> None:
        at, looks = self._at, 0
        for _ in range(_MOST_ATTEMPTS):
            changed = change(self._entries())
            if changed is not None:
                push_manifest(at.client, at.repo, at.reference, OCIIndex(manifests=changed), timeout=at.timeout)
                looks = 0
            elif looks == _LOOKS:
                return
            looks += 1
            time.sleep(_PAUSE * random.uniform(1, 2))
        raise RegscopeError(
            f"another client repeatedly replaced the list of referrers under {at.repo}:{at.reference}",
            next_step="Try again when no other client pushes to this repository.",
        )

    def _entries(self) -> list[Descriptor]:
        at = self._at
        try:
            found = at.fetch().parse()
        except ResourceNotFound:
            return []
        if not isinstance(found, OCIIndex):
            raise InvalidManifest(
                f"{at.repo}:{at.reference} must be an index of referrers, but its media type is {found.media_type}"
            )
        return found.manifests
