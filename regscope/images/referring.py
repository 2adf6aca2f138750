"""What refers to a manifest, however a store keeps that (distribution-spec, Listing referrers)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from regscope.errors import ContentMissing, ResourceNotFound
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.manifest import OCIIndex
from regscope.spec.referring import fallback_tag, subject_of_tag, type_of_tag
from regscope.stores.content_store import ContentStore


class Referrer(NamedTuple):
    """A manifest that refers to another one.

    Attributes:
        tag: by which it is found, as cosign's are; None for one that is listed.
        digest: of the manifest.
        artifact_type: what it is; None where nothing says it.
    """

    tag: str | None
    digest: Digest
    artifact_type: str | None


def referrers_of(store: ContentStore, repository: str, digest: Digest, tags: Collection[str]) -> list[Referrer]:
    """What refers to a manifest: by the store's own list, under the fallback tag, and by cosign's tags.

    Each once; where it is listed and has a tag as well, by its tag.

    Args:
        tags: all of the repository.

    Raises:
        RegscopeError: a list, or one of them, cannot be read.
    """
    found: dict[str, Referrer] = {}
    for entry in (*(store.referrers(repository, digest) or ()), *_under_fallback_tag(store, repository, digest, tags)):
        known = found.get(entry.digest)
        if known is None or known.artifact_type is None:
            found[entry.digest] = Referrer(None, entry.digest, entry.artifactType)
    tagged = list(_by_cosign(store, repository, digest, tags))
    for referrer in tagged:
        found.pop(referrer.digest, None)
    return [
        referrer if referrer.artifact_type else referrer._replace(artifact_type=_own_type(store, repository, referrer))
        for referrer in (*found.values(), *tagged)
    ]


def _under_fallback_tag(
    store: ContentStore, repository: str, digest: Digest, tags: Collection[str]
) -> Sequence[Descriptor]:
    if fallback_tag(digest) not in tags:
        return ()
    try:
        found = store.manifest(repository, fallback_tag(digest)).parse()
    except (ResourceNotFound, ContentMissing):  # taken away since the tags were listed
        return ()
    return found.children if isinstance(found, OCIIndex) else ()


def _by_cosign(store: ContentStore, repository: str, digest: Digest, tags: Collection[str]) -> Iterator[Referrer]:
    for tag in tags:
        if tag != fallback_tag(digest) and subject_of_tag(tag) == digest:
            yield Referrer(tag, store.resolve(repository, tag), type_of_tag(tag))


def _own_type(store: ContentStore, repository: str, referrer: Referrer) -> str | None:
    """The type that the manifest gives itself, where the list does not say it."""
    try:
        return store.manifest(repository, referrer.digest).parse().artifact_type
    except (ResourceNotFound, ContentMissing):  # the list is older than what it names
        return None
