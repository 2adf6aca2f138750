"""The one protocol behind which images live, whatever holds them."""

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

    Whatever a store returns has been verified against its digest. Stores pickle, so that a scan can run on a
    cluster. What is not there raises ContentMissing or ResourceNotFound.
    """

    @property
    def location(self) -> str:
        """How a user names it, without secrets: `http://localhost:5000`, `oci:layout`."""

    @property
    def kind(self) -> Kind:
        """What kind of place it is, whatever is around it."""

    @property
    def sees_untagged(self) -> bool:
        """Whether `untagged` tells all; a registry's API cannot."""

    @property
    def rate_limit(self) -> RateLimit | None:
        """What was last said to be left of a quota; None where nothing was."""

    @property
    def counts_pulls(self) -> bool:
        """Whether fetching a manifest uses up a quota, which resolving a tag does not."""

    @property
    def capabilities(self) -> Capabilities | None:
        """What the registry behind it offers; None where there is none."""

    def repositories(self) -> list[str]:
        """All repositories, sorted."""

    def tags(self, repository: str) -> list[str]:
        """All tags of a repository, sorted."""

    def untagged(self, repository: str) -> list[Digest]:
        """Manifests that are kept in a repository by no tag, and belong to no index there."""

    def resolve(self, repository: str, tag: str) -> Digest:
        """What a tag points to now, as cheaply as the store can say it; of a digest whether it is there."""

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """The manifest that a tag has now, as cheaply as the store can say it; None where it still is `known`."""

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """A manifest by tag or digest."""

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """A blob in chunks; DigestMismatch after the last one if they are not what was asked for."""

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """What follows the first `start` bytes of a blob; not verified, which takes all of it."""

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """The whole of a small blob, such as an image config; TooLarge above `limit` bytes."""

    def blob_size(self, repository: str, digest: str) -> int:
        """The size of a blob in bytes, for manifests that do not state it (schema 1)."""

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """Whether a repository has a manifest of its own; None where that takes a request to find out."""

    def stored_blobs(self) -> Mapping[str, int] | None:
        """Every blob that is stored, needed or not, and its bytes; None where that cannot be listed."""

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """When a tag was pushed last; None where the store does not know."""

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """What refers to a manifest; None where the store keeps referrers under fallback tags alone."""

    def faults(self, repository: str) -> list[Fault]:
        """What is wrong with names in a repository, though all that they may mean can be read."""


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
