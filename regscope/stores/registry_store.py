"""A registry as a store."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime

from regscope import text
from regscope.errors import AuthFailed, PermissionDeny, ResourceNotFound, Unsupported
from regscope.hosted.finding import provider_of
from regscope.hosted.provider import Listing, Provider
from regscope.registry.blobs import Blob
from regscope.registry.capabilities import Capabilities, probe_capabilities
from regscope.registry.catalog import list_repositories
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.manifests import ManifestRef, RawManifest
from regscope.registry.origin import without_secrets
from regscope.registry.referrers import list_referrers
from regscope.registry.tag_list import read_tag_list
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.rate_limit import RateLimit
from regscope.spec.reference import check_repository
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import REGISTRY
from regscope.stores.stored_names import Fault
from regscope.stores.wrapped_store import unwrapped

_finding = threading.Lock()  # a scan's threads find one provider, which may take a second


class RegistryStore:
    """Images in a registry, read with `client`.

    Args:
        prefix: the beginning of the names of the repositories to use; all by default.
    """

    kind = REGISTRY

    def __init__(self, client: DockerRegistryV2Client, prefix: str = "") -> None:
        self.client = client
        self.prefix = prefix
        self._provider: Provider | None = None
        self._capabilities: Capabilities | None = None
        self._listed: str | None = None
        self._listed_digests: dict[str, list[Digest]] = {}
        self._listings: dict[str, Listing | None] = {}
        self._native_ids: dict[str, dict[str, str]] = {}
        self._knows_conditions = True  # until a request shows the opposite

    @functools.cached_property
    def location(self) -> str:
        """The registry's address, and its prefix where it has one."""
        return without_secrets(f"{self.client.api_base_url}/{self.prefix}".rstrip("/"))

    @property
    def provider(self) -> Provider | None:
        """Whoever runs the registry, as far as its address and its answers have shown it."""
        if self._provider is None:
            with _finding:
                self._provider = self._provider or provider_of(self.client)
        return self._provider

    @property
    def sees_untagged(self) -> bool:
        """Whether a provider lists them; that it did not, once, shows when it is asked."""
        listings = self._listings.values()
        return (
            self.provider is not None
            and self.provider.lists_untagged
            and all(listing is not None and listing.is_complete for listing in listings)
        )

    @property
    def sees_pulls(self) -> bool:
        """Whether a provider states when images were pulled; that it did not, once, shows when it is asked."""
        return self.provider is not None and self.provider.lists_pulls and None not in self._listings.values()

    @property
    def is_partial(self) -> bool:
        """Whether other repositories, which are not among those that are meant, may share their blobs."""
        return self.provider is not None and self.provider.is_partial(self.prefix)

    @property
    def rate_limit(self) -> RateLimit | None:
        """The rate limit of the latest response with one (`RateLimit-Remaining`)."""
        return self.client.rate_limit

    @property
    def counts_pulls(self) -> bool:
        """Whether fetching a manifest counts as a pull, as far as the client and the provider know."""
        return self.client.counts_pulls or (self.provider is not None and self.provider.counts_pulls)

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the registry, probed on first use: see `probe_capabilities`.

        The requests are about the repository whose tags were listed last, else about the first in the catalog.

        Warns:
            CapabilityWarning: the registry lacks a capability; one warning for each.
        """
        if self._capabilities is None:
            first = self._listed or (next(iter(self.repositories()), None) if self._is_listed_by_provider else None)
            self._capabilities = probe_capabilities(self.client, first, self.counts_pulls)
            if self.provider is not None:
                self._capabilities = self._capabilities.beside(self.provider, lists=self._is_listed_by_provider)
            self._capabilities.warn(self.location)
        return self._capabilities

    def repositories(self) -> list[str]:
        """The repositories of the catalog; where it is closed, or below a prefix, those that the provider lists."""
        if self.prefix and self.provider is not None:
            return self.provider.repositories(self.prefix)
        try:
            return list_repositories(self.client)
        except (AuthFailed, PermissionDeny, ResourceNotFound, Unsupported):
            provider = self.provider or self._asked_for_provider()
            if provider is None:
                raise
            return provider.repositories("")

    @property
    def _is_listed_by_provider(self) -> bool:
        return self.provider is not None and (bool(self.prefix) or self.provider.lists_all)

    def _asked_for_provider(self) -> Provider | None:
        """The provider after a request for `/v2/`: the catalog may have a challenge of its own, which shows none."""
        self.client.ping()
        return self.provider

    def tags(self, repository: str) -> list[str]:
        """All tags, sorted."""
        was_known = self.provider is not None
        if (listing := self.manifests(repository)) is not None:
            return _tags_of(listing)
        found = read_tag_list(self.client, check_repository(repository))
        if not was_known and (listing := self.manifests(repository)) is not None:  # a challenge has shown the provider
            return _tags_of(listing)
        self._listed = repository
        self._listed_digests[repository] = found.digests
        return found.tags

    def manifests(self, repository: str) -> Listing | None:
        """The manifests, with what the provider says of each; None without one, or where it does not list them."""
        if self.provider is None:  # it may be known after the next challenge
            return None
        found = self.provider.manifests(check_repository(repository))
        self._listings[repository] = found
        self._listed = repository if found is not None else self._listed
        rows = found.manifests if found is not None else ()
        self._native_ids[repository] = {row.digest: row.native_id for row in rows if row.native_id is not None}
        return found

    def native_id(self, repository: str, digest: str) -> str | None:
        """The id of a manifest in the provider's own API, as it was listed last; None without one."""
        return self._native_ids.get(repository, {}).get(digest)

    def listing(self, repository: str) -> Listing | None:
        """As `manifests`, as they were listed last."""
        return self._listings[repository] if repository in self._listings else self.manifests(repository)

    def untagged(self, repository: str) -> list[Digest]:
        """The manifests without a tag that a provider listed last, children and referrers included; else the digests
        in the tag list, once it was read: only zuul-registry lists untagged manifests there."""
        if (listing := self.listing(repository)) is not None:
            return sorted(row.digest for row in listing.manifests if not row.tags) if listing.is_complete else []
        return self._listed_digests.get(repository, [])

    def resolve(self, repository: str, tag: str) -> Digest:
        """The digest, by one HEAD request; by GET where HEAD does not state it: see `ManifestRef.describe`."""
        try:
            return ManifestRef(repository, tag, self.client).describe().digest
        except ResourceNotFound as error:
            raise ResourceNotFound(
                f"{self.location} has no {repository}:{tag}",
                404,
                code=error.code,
                next_step=f"`tags` lists what {repository} has.",
            ) from None

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """The manifest, by one conditional GET; by HEAD first if a GET counts as a pull, or conditions are ignored."""
        if self.counts_pulls or not self._knows_conditions:
            digest = self.resolve(repository, tag)
            return None if digest == known else self.manifest(repository, digest)
        found = ManifestRef(repository, tag, self.client).fetch_unless(known)
        if found is None or found.digest != known:
            return found
        self._knows_conditions = False
        return None

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """The manifest, by one GET request."""
        return ManifestRef(repository, reference, self.client).fetch()

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """The blob, streamed and verified."""
        return Blob(repository, digest, client=self.client).chunks()

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """The rest of the blob, by a GET request for its range."""
        return Blob(repository, blob.digest, client=self.client).rest(start, blob.size)

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """The blob, by one GET request."""
        return Blob(repository, digest, client=self.client).read(limit)

    def blob_size(self, repository: str, digest: str) -> int:
        """The size, by one HEAD request; where that finds nothing, by a GET of one byte."""
        blob = Blob(repository, digest, client=self.client)
        try:
            return blob.stat().size
        except ResourceNotFound:
            return blob.stat_by_get().size

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """None: finding out takes a request."""
        return None

    def stored_blobs(self) -> Mapping[str, int] | None:
        """None: no registry's API lists them."""
        return None

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """The push time that the provider listed last for the tag, or its manifest; None without one."""
        listing = self.listing(repository)
        rows = listing.manifests if listing is not None else ()
        return next((row.pushed_as(tag) for row in rows if tag in row.tag_names), None)

    def faults(self, repository: str) -> list[Fault]:
        """None: names are unique."""
        return []

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """The referrers, by the referrers API; None where the registry has no such API."""
        return list_referrers(self.client, repository, digest)

    def __repr__(self) -> str:
        return f"RegistryStore({self.location!r})"

    def _repr_html_(self) -> str:
        who = "with credentials" if self.client.keychain else "anonymously"
        return text.card("Registry", {"address": self.location, "read": who} | self._run_by())

    def _run_by(self) -> dict[str, str]:
        return {"run by": self.provider.name} if self.provider else {}


def _tags_of(listing: Listing) -> list[str]:
    return sorted({tag for row in listing.manifests for tag in row.tag_names})


def registry_of(store: ContentStore) -> RegistryStore | None:
    """The registry that a store, whatever is around it, reads; None where it reads none."""
    itself = unwrapped(store)
    return itself if isinstance(itself, RegistryStore) else None


def client_of(store: ContentStore) -> DockerRegistryV2Client | None:
    """The client of a registry's store, also through a cache or mirrors; None for other stores."""
    registry = registry_of(store)
    return None if registry is None else registry.client
