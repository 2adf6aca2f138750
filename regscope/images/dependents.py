"""What depends on a manifest: the tags that are removed with it, and the indexes that would lose a child."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from regscope.concurrency import READS_AT_ONCE
from regscope.spec.digest import Digest
from regscope.spec.referring import subject_of_tag
from regscope.stores.content_store import ContentStore


class Dependents(NamedTuple):
    """Attributes:
    tags: the tags on the manifest.
    indexes: the tags on indexes that have it as a child, directly or in a nested index.
    """

    tags: list[str]
    indexes: list[str]


def dependents_of(store: ContentStore, repository: str, digest: Digest) -> Dependents:
    """Read all tags of the repository for the dependents of a manifest; fallback tags do not depend on it.

    Raises:
        RegscopeError: a tag cannot be read: it may depend on the manifest.
    """
    tags = store.tags(repository)
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        found = dict(zip(tags, pool.map(partial(store.resolve, repository), tags), strict=True))
        named = {other for tag, other in found.items() if other != digest and subject_of_tag(tag) is None}
        named_by: dict[Digest, list[Digest]] = {}
        belongs = partial(_is_within, store, repository, digest, named_by)
        holding = {other for other, holds in zip(named, pool.map(belongs, named), strict=True) if holds}
    return Dependents(
        [tag for tag, other in found.items() if other == digest],
        [tag for tag, other in found.items() if other in holding and subject_of_tag(tag) is None],
    )


def _is_within(
    store: ContentStore, repository: str, digest: Digest, named_by: dict[Digest, list[Digest]], other: Digest
) -> bool:
    """Whether an index names a manifest, directly or in a nested index.

    Args:
        named_by: the children of each manifest that was read before, so that each is read once.
    """
    seen: set[Digest] = set()
    waiting = [other]
    while waiting:
        index = waiting.pop()
        if index not in seen:
            seen.add(index)
            if index not in named_by:
                named_by[index] = _named_by(store, repository, index)
            waiting += named_by[index]
    return digest in seen - {other}


def _named_by(store: ContentStore, repository: str, digest: Digest) -> list[Digest]:
    return [child.digest for child in store.manifest(repository, digest).parse().children]
