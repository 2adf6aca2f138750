"""What hangs on a manifest: the tags that are lost with it, and the indexes that would be broken."""

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
    tags: on the manifest.
    indexes: tags on indexes that it belongs to, directly or within others.
    """

    tags: list[str]
    indexes: list[str]


def dependents_of(store: ContentStore, repository: str, digest: Digest) -> Dependents:
    """Read every tag of the repository as it is now. Lists of referrers do not count: they are kept up to date.

    Raises:
        RegscopeError: one of them cannot be read, and so might hold it.
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
    """Whether an index names a manifest, or an index within it does.

    Args:
        named_by: what each manifest that was read before names: each is read once.
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
