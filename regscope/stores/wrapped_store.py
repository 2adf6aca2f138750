"""What a store around another one passes on to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from regscope.registry.capabilities import Capabilities
from regscope.registry.manifests import RawManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.rate_limit import RateLimit
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import Kind
from regscope.stores.stored_names import Fault


def unwrapped(store: ContentStore) -> ContentStore:
    """The store itself, behind caches and mirrors: only it knows what is there now."""
    while isinstance(store, WrappedStore):
        store = store.store
    return store


class WrappedStore:
    """Everything that is `store`'s own, asked of it each time: where it is, what it can do, and whatever moves."""

    def __init__(self, store: ContentStore) -> None:
        self.store = store

    @property
    def location(self) -> str:
        """The store's own."""
        return self.store.location

    @property
    def kind(self) -> Kind:
        """The store's own."""
        return self.store.kind

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
        """As the store lists them."""
        return self.store.repositories()

    def tags(self, repository: str) -> list[str]:
        """As the store lists them."""
        return self.store.tags(repository)

    def untagged(self, repository: str) -> list[Digest]:
        """As the store lists them."""
        return self.store.untagged(repository)

    def resolve(self, repository: str, tag: str) -> Digest:
        """As the store says now."""
        return self.store.resolve(repository, tag)

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """As the store says now."""
        return self.store.changed(repository, tag, known)

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """Streamed from the store."""
        return self.store.blob(repository, digest)

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """Streamed from the store."""
        return self.store.rest_of_blob(repository, blob, start)

    def blob_size(self, repository: str, digest: str) -> int:
        """As the store says."""
        return self.store.blob_size(repository, digest)

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """As the store says now."""
        return self.store.has_manifest(repository, digest)

    def stored_blobs(self) -> Mapping[str, int] | None:
        """As the store lists them."""
        return self.store.stored_blobs()

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """As the store says now."""
        return self.store.pushed(repository, tag)

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """As the store says: they come and go."""
        return self.store.referrers(repository, digest)

    def faults(self, repository: str) -> list[Fault]:
        """The store's own."""
        return self.store.faults(repository)
