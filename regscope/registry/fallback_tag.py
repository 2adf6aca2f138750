"""Referrers at a registry without the API for them: an index under a tag (distribution-spec, Referrers Tag Schema)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from regscope.errors import InvalidManifest, RegscopeError, ResourceNotFound
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIIndex

if TYPE_CHECKING:
    from regscope.registry.manifests import ManifestRef

_MOST_ATTEMPTS = 20
_LOOKS = 2  # after a push, to see whether somebody else has pushed over it
_PAUSE = 0.05  # seconds, and up to twice as many


def fallback_tag(subject: Digest) -> str:
    """The tag that holds the referrers of `subject`."""
    return f"{subject.algorithm[:32]}-{subject.encoded[:64]}"


def add_referrer(at: ManifestRef, referrer: Descriptor) -> None:
    """Put a referrer into the index that `at` names, and see to it that it stays.

    No registry can be told to change a tag only if nobody else has: so it is looked at again after a moment, and done
    again where another client wrote at the same time.

    Raises:
        InvalidManifest: what is under the tag is no index.
        RequestError: it cannot be written.
    """

    def with_it(entries: Sequence[Descriptor]) -> list[Descriptor] | None:
        return None if any(entry.digest == referrer.digest for entry in entries) else [*entries, referrer]

    _until_it_stays(at, with_it)


def remove_referrer(at: ManifestRef, digest: Digest) -> None:
    """Take a referrer out of the index that `at` names, if it is in there.

    Raises:
        InvalidManifest: what is under the tag is no index.
        RequestError: it cannot be written.
    """

    def without_it(entries: Sequence[Descriptor]) -> list[Descriptor] | None:
        kept = [entry for entry in entries if entry.digest != digest]
        return kept if len(kept) < len(entries) else None

    _until_it_stays(at, without_it)


def _until_it_stays(at: ManifestRef, change: Callable[[Sequence[Descriptor]], list[Descriptor] | None]) -> None:
    looks = 0
    for _ in range(_MOST_ATTEMPTS):
        changed = change(_entries(at))
        if changed is not None:
            at.put(OCIIndex(manifests=changed))
            looks = 0
        elif looks == _LOOKS:
            return
        looks += 1
        time.sleep(_PAUSE * random.uniform(1, 2))
    raise RegscopeError(
        f"the referrers under {at.repo}:{at.reference} are written over time and again by somebody else",
        next_step="Try again when nobody else pushes to this repository.",
    )


def _entries(at: ManifestRef) -> list[Descriptor]:
    try:
        found = at.fetch().parse()
    except ResourceNotFound:
        return []
    if not isinstance(found, OCIIndex):
        raise InvalidManifest(f"{at.repo}:{at.reference} should be an index of referrers, and is {found.media_type}")
    return found.manifests
