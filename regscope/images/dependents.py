"""What hangs on a manifest: the tags that are lost with it, and the indexes that would be broken."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from regscope.registry.referrers import subject_of_tag
from regscope.spec.digest import Digest
from regscope.spec.manifest import DockerManifestList, OCIIndex
from regscope.stores.content_store import ContentStore

_AT_ONCE = 16


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
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = dict(zip(tags, pool.map(partial(store.resolve, repository), tags), strict=True))
        named = {other for tag, other in found.items() if other != digest and subject_of_tag(tag) is None}
        belongs = partial(_is_within, store, repository, digest)
        holding = {other for other, holds in zip(named, pool.map(belongs, named), strict=True) if holds}
    return Dependents(
        [tag for tag, other in found.items() if other == digest],
        [tag for tag, other in found.items() if other in holding and subject_of_tag(tag) is None],
    )


def _is_within(store: ContentStore, repository: str, digest: Digest, other: Digest) -> bool:
    return digest in _children(store, repository, other)


def _children(store: ContentStore, repository: str, digest: Digest) -> Iterator[Digest]:
    """What an index names, and what indexes within it do."""
    manifest = store.manifest(repository, digest).parse()
    if isinstance(manifest, OCIIndex | DockerManifestList):
        for child in manifest.children:
            yield child.digest
            if child.mediaType in (OCIIndex.content_type(), DockerManifestList.content_type()):
                yield from _children(store, repository, child.digest)
