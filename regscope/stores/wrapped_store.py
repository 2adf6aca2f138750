"""The methods that a store around another one, such as a cache, passes on to it."""

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
    """The innermost store, without caches and mirrors, for the current state."""
    while isinstance(store, WrappedStore):
        store = store.store
    return store


class WrappedStore:
    """Passes on to `store` what must not be cached: its location, its capabilities, and everything that changes."""

    def __init__(self, store: ContentStore) -> None:
        self.store = store

    @property
    def location(self) -> str:
        """As `store` has it."""
        return self.store.location

    @property
    def kind(self) -> Kind:
        """As `store` has it."""
        return self.store.kind

    @property
    def sees_untagged(self) -> bool:
        """As `store` has it."""
        return self.store.sees_untagged

    @property
    def rate_limit(self) -> RateLimit | None:
        """As `store` has it."""
        return self.store.rate_limit

    @property
    def counts_pulls(self) -> bool:
        """As `store` has it."""
        return self.store.counts_pulls

    @property
    def capabilities(self) -> Capabilities | None:
        """As `store` has it."""
        return self.store.capabilities

    def repositories(self) -> list[str]:
        """As `store` lists them."""
        return self.store.repositories()

    def tags(self, repository: str) -> list[str]:
        """As `store` lists them."""
        return self.store.tags(repository)

    def untagged(self, repository: str) -> list[Digest]:
        """As `store` lists them."""
        return self.store.untagged(repository)

    def resolve(self, repository: str, tag: str) -> Digest:
        """As `store` states it now."""
        return self.store.resolve(repository, tag)

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """As `store` states it now."""
        return self.store.changed(repository, tag, known)

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """Streamed from `store`."""
        return self.store.blob(repository, digest)

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """Streamed from `store`."""
        return self.store.rest_of_blob(repository, blob, start)

    def blob_size(self, repository: str, digest: str) -> int:
        """As `store` states it."""
        return self.store.blob_size(repository, digest)

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """As `store` states it now."""
        return self.store.has_manifest(repository, digest)

    def stored_blobs(self) -> Mapping[str, int] | None:
        """As `store` lists them."""
        return self.store.stored_blobs()

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """As `store` states it now."""
        return self.store.pushed(repository, tag)

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """The store's current referrers."""
        return self.store.referrers(repository, digest)

    def faults(self, repository: str) -> list[Fault]:
        """As `store` has it."""
        return self.store.faults(repository)
