"""The protocol of all stores of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Protocol

from regscope.errors import ContentMissing
from regscope.registry.capabilities import Capabilities
from regscope.registry.manifests import RawManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.rate_limit import RateLimit
from regscope.stores.kinds import Kind
from regscope.stores.stored_names import Fault


class ContentStore(Protocol):
    """Repositories, their tags, and content by digest.

    Content that a store returns was verified against its digest. Stores can be pickled, so that a scan can run on a
    cluster. Missing content raises ContentMissing or ResourceNotFound.
    """

    @property
    def location(self) -> str:
        """The location as users write it, without secrets: `http://localhost:5000`, `oci:layout`."""

    @property
    def kind(self) -> Kind:
        """The kind of the store, also through a cache or mirrors."""

    @property
    def sees_untagged(self) -> bool:
        """Whether `untagged` lists all untagged manifests; a registry's API cannot."""

    @property
    def rate_limit(self) -> RateLimit | None:
        """The rate limit, with the remaining requests, that the store stated last; None where it stated none."""

    @property
    def counts_pulls(self) -> bool:
        """Whether fetching a manifest counts against a rate limit, and resolving a tag does not."""

    @property
    def capabilities(self) -> Capabilities | None:
        """The capabilities of the registry; None where the store is no registry."""

    def repositories(self) -> list[str]:
        """All repositories, sorted."""

    def tags(self, repository: str) -> list[str]:
        """All tags of a repository, sorted."""

    def untagged(self, repository: str) -> list[Digest]:
        """Manifests of a repository that have no tag, and belong to no index there."""

    def resolve(self, repository: str, tag: str) -> Digest:
        """The current digest of a tag, by the cheapest request; a digest itself, if its manifest exists."""

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """The current manifest of a tag, by the cheapest request; None if its digest is still `known`."""

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """A manifest by tag or digest."""

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """A blob in chunks; DigestMismatch after the last chunk if their digest is another one."""

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """The bytes of a blob after the first `start` ones; not verified, as that needs the whole blob."""

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """The whole of a small blob, such as an image config; TooLarge above `limit` bytes."""

    def blob_size(self, repository: str, digest: str) -> int:
        """The size of a blob in bytes, for manifests that do not state it (schema 1)."""

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """Whether a repository itself has a manifest; None where finding out takes a request."""

    def stored_blobs(self) -> Mapping[str, int] | None:
        """All stored blobs, needed or not, with their bytes; None where the store cannot list them."""

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """The time of a tag's last push; None where the store does not know it."""

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """The referrers of a manifest; None where the store has them only under fallback tags."""

    def faults(self, repository: str) -> list[Fault]:
        """Ambiguous or wrong names in a repository; all manifests that they may mean can be read."""


def no_such_repository(store: ContentStore, repository: str) -> ContentMissing:
    """The error for a repository that `store` does not have."""
    return ContentMissing(
        f"{store.location} has no repository {repository!r}",
        next_step="It has: " + (", ".join(store.repositories()[:20]) or "none"),
    )


def no_such_tag(store: ContentStore, repository: str, tag: str) -> ContentMissing:
    """The error for a tag that `store` does not have."""
    return ContentMissing(
        f"{store.location} has no {repository}:{tag}", next_step=f"`tags` lists what {repository} has."
    )
