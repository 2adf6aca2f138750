"""Any store behind the cache: what a digest names is fetched once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from regscope.errors import RegscopeError
from regscope.registry.capabilities import Capabilities
from regscope.registry.manifests import RawManifest
from regscope.registry.responses import too_large
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.rate_limit import RateLimit
from regscope.stores.content_store import ContentStore
from regscope.stores.digest_cache import DigestCache

_logger = logging.getLogger(__name__)


class CachedStore:
    """`store`, with its manifests and small blobs kept in `cache`. Tags move, so they are always asked."""

    def __init__(self, store: ContentStore, cache: DigestCache) -> None:
        self.store = store
        self.cache = cache

    @property
    def location(self) -> str:
        """The store's own."""
        return self.store.location

    @property
    def sees_untagged(self) -> bool:
        """The store's own."""
        return self.store.sees_untagged

    @property
    def rate_limit(self) -> RateLimit | None:
        """The store's own."""
        return self.store.rate_limit

    @property
    def counts_pulls(self) -> bool:
        """The store's own."""
        return self.store.counts_pulls

    @property
    def capabilities(self) -> Capabilities | None:
        """The store's own."""
        return self.store.capabilities

    def repositories(self) -> list[str]:
        """Asked of the store."""
        return self.store.repositories()

    def tags(self, repository: str) -> list[str]:
        """Asked of the store."""
        return self.store.tags(repository)

    def untagged(self, repository: str) -> list[Digest]:
        """Asked of the store."""
        return self.store.untagged(repository)

    def resolve(self, repository: str, tag: str) -> Digest:
        """Asked of the store."""
        return self.store.resolve(repository, tag)

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """Asked of the store."""
        return self.store.changed(repository, tag, known)

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """From the cache where it can be; a tag by the digest that it has now."""
        digest = reference if ":" in reference else self.current(repository, reference)
        if digest is not None and (raw := self._recall(digest)) is not None:
            return RawManifest(raw, Digest(digest))
        found = self.store.manifest(repository, digest or reference)
        self._keep(found, self._name(repository, reference) if digest is None else None)
        return found

    def current(self, repository: str, tag: str) -> Digest | None:
        """The digest that a tag has now, by one cheap request that counts as no pull.

        None for a tag never seen, whose manifest is best fetched at once: unless the store counts that.
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

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """Streamed from the store: large blobs are not kept."""
        return self.store.blob(repository, digest)

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """From the cache where it can be."""
        content = self._recall(digest)
        if content is None:
            content = self.store.read_blob(repository, digest, limit)
            with or_without_it():
                self.cache.put(digest, content)
        elif len(content) > limit:
            raise too_large(f"the blob {digest}", len(content), limit)
        return content

    def blob_size(self, repository: str, digest: str) -> int:
        """Asked of the store."""
        return self.store.blob_size(repository, digest)

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """Asked of the store: they come and go."""
        return self.store.referrers(repository, digest)

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


@contextmanager
def or_without_it() -> Iterator[None]:
    """A cache that fails, on a full disk or a damaged database, costs time and no answer."""
    try:
        yield
    except RegscopeError as error:
        _logger.warning("going on without the cache: %s", error.message)
