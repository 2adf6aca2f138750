"""A store behind the cache: content is fetched once for each digest."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from regscope.errors import RegscopeError
from regscope.registry.manifests import RawManifest
from regscope.registry.responses import too_large
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.digest_cache import DigestCache
from regscope.stores.wrapped_store import WrappedStore

_logger = logging.getLogger(__name__)


class CachedStore(WrappedStore):
    """`store`, with its manifests and small blobs kept in `cache`. Tags move: they are always resolved by `store`."""

    def __init__(self, store: ContentStore, cache: DigestCache) -> None:
        super().__init__(store)
        self.cache = cache

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """The manifest, from the cache if it is there; a tag is resolved first."""
        digest = reference if ":" in reference else self.current(repository, reference)
        if digest is not None and (raw := self._recall(digest)) is not None:
            return RawManifest(raw, Digest(digest))
        found = self.store.manifest(repository, digest or reference)
        self._keep(found, self._name(repository, reference) if digest is None else None)
        return found

    def current(self, repository: str, tag: str) -> Digest | None:
        """The current digest of a tag, by one request that does not count as a pull.

        None for a tag that the cache does not know: its manifest is then fetched at once, unless that counts as a pull.
        """
        name = self._name(repository, tag)
        noted: Digest | None = None
        with or_without_it():
            noted = self.cache.hint(name)
        if noted is not None:
            found = self.changed(repository, tag, noted)
            if found is None:
                return noted
            self._keep(found, name)
            return found.digest
        if not self.store.counts_pulls:
            return None
        digest = self.resolve(repository, tag)
        with or_without_it():
            self.cache.note(name, digest)
        return digest

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """The blob, from the cache if it is there."""
        content = self._recall(digest)
        if content is None:
            content = self.store.read_blob(repository, digest, limit)
            with or_without_it():
                self.cache.put(digest, content)
        elif len(content) > limit:
            raise too_large(f"the blob {digest}", len(content), limit)
        return content

    def _recall(self, digest: str) -> bytes | None:
        with or_without_it():
            return self.cache.get(digest)
        return None

    def _keep(self, found: RawManifest, name: str | None) -> None:
        with or_without_it():
            self.cache.put(found.digest, found.raw)
            if name is not None:
                self.cache.note(name, found.digest)

    def _name(self, repository: str, tag: str) -> str:
        return f"{self.location} {repository}:{tag}"

    def __repr__(self) -> str:
        return f"CachedStore({self.store!r}, {self.cache!r})"

    def _repr_html_(self) -> str:
        shown = self.store
        return shown._repr_html_() if hasattr(shown, "_repr_html_") else repr(shown)


def cache_of(store: ContentStore) -> DigestCache | None:
    """The cache of a store; None where it has none."""
    return store.cache if isinstance(store, CachedStore) else None


def current_digest(store: ContentStore, repository: str, tag: str) -> Digest | None:
    """See `CachedStore.current`; None for a store without a cache."""
    return store.current(repository, tag) if isinstance(store, CachedStore) else None


@contextmanager
def or_without_it() -> Iterator[None]:
    """Continue without the cache if it fails, as on a full disk or a damaged database."""
    try:
        yield
    except RegscopeError as error:
        _logger.warning("going on without the cache: %s", error.message)
