"""Deleting images from a registry (distribution-spec, Content Management)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

from regscope.errors import RequestError
from regscope.hosted.provider import Provider
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.deletion import Deletion
from regscope.registry.manifests import ManifestRef
from regscope.registry.untagging import untag
from regscope.spec.digest import Digest
from regscope.stores.registry_store import RegistryStore

_BY_NAME = "Tags are deleted by name, before their manifest."
_NOT_BY_NAME = (
    "The registry deletes no tag by name: a tag is deleted with its manifest, or with one that is pushed to the tag."
)


class RegistryRemoval:
    """Deletes from the registry of a store (distribution-spec, Content Management).

    The provider of a hosted registry deletes in its own way where the registry's API does not. It may become known only
    by the registry's first challenge, and is therefore looked up at each use.
    """

    frees_at_once = False

    def __init__(self, store: RegistryStore) -> None:
        self.client = store.client
        self._store = store
        self._checked: set[str] = set()
        self._is_prepared = False

    @property
    def _provider(self) -> Provider | None:
        provider = self._store.provider
        if provider is not None and not self._is_prepared:
            self._is_prepared = True
            _prepare(self.client, provider)
        return provider

    def untag(self, repository: str, tag: str, standing_in: Callable[[Digest], None] | None = None) -> None:
        """Deletes the tag by name; if the registry does not support it, by pushing and deleting a stand-in manifest."""
        with self._explaining(repository):
            if self._untags(repository, tag):
                assert self._provider is not None
                self._provider.untag(repository, tag)
            else:
                if self._deletes and repository not in self._checked:
                    self.check_deletes(repository)
                delete = partial(self._delete, repository) if self._deletes else None
                untag(self.client, repository, tag, standing_in=standing_in, delete=delete)

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Deletes the manifest, and all tags that point to it."""
        with self._explaining(repository):
            if self._deletes:
                self._delete(repository, digest)
            else:
                ManifestRef(repository, digest, self.client).delete()

    def forget_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> None:
        """Deletes the manifest, and looks up the given tags afterwards."""
        with self._explaining(repository):
            if self._deletes:
                self._delete(repository, digest)
            else:
                Deletion(self.client, repository).manifest(digest, tags)

    def check_deletes(self, repository: str) -> None:
        """Check by a request to delete a manifest that cannot exist, or as the provider does."""
        if self._deletes:
            self._known_provider.check_deletes(repository)
            self._checked.add(repository)
            return
        Deletion(self.client, repository).make_sure()
        if self.client.deletions.untag is not None:
            assert self._provider is not None
            self._provider.check_untags(repository)

    def how_tags_go(self, repository: str) -> str:
        """Find out by a request to delete a tag that cannot exist."""
        if self._provider is not None and self._provider.untags:
            return ""
        if self._deletes:
            return _NOT_BY_NAME
        return _BY_NAME if Deletion(self.client, repository).knows_tags() else _NOT_BY_NAME

    def check_untags(self, repository: str) -> None:
        """Check by a PUT of invalid content, since removing a tag needs a PUT; or as the provider does."""
        if self._provider is not None and self._provider.untags:
            self._provider.check_untags(repository)
            return
        Deletion(self.client, repository).make_sure_it_takes()

    def can_restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """Asks the provider, where it restores what was deleted."""
        return self._restores and self._known_provider.can_restore(repository, digest, native_id)

    def restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """By the provider, where it restores what was deleted."""
        with self._explaining(repository):
            return self._restores and self._known_provider.restore(repository, digest, native_id)

    def taken_along(self, repository: str, digest: Digest) -> Collection[Digest]:
        """Those that the provider names."""
        return self._provider.taken_along(repository, digest) if self._provider is not None else ()

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """Deletes the blob by one DELETE request."""
        Blob(repository, digest, client=self.client).delete()

    def _untags(self, repository: str, tag: str) -> bool:
        provider = self._provider
        return provider is not None and provider.untags and provider.untags_alone(repository, tag)

    @property
    def _deletes(self) -> bool:
        return self._provider is not None and self._provider.deletes

    @property
    def _restores(self) -> bool:
        return self._provider is not None and self._provider.restores

    @property
    def _known_provider(self) -> Provider:
        assert self._provider is not None
        return self._provider

    def _delete(self, repository: str, digest: Digest) -> None:
        """Delete a manifest with its tags by the provider's own API."""
        for error in self._known_provider.delete(repository, [digest]).values():
            raise error

    @contextmanager
    def _explaining(self, repository: str) -> Iterator[None]:
        """What is refused is told with what the provider means by it."""
        try:
            yield
        except RequestError as error:
            explained = self._provider.explained(error, repository) if self._provider is not None else error
            if explained is error:
                raise
            raise explained from None


def removing_from(store: RegistryStore) -> RegistryRemoval:
    """The removal for an open registry."""
    return RegistryRemoval(store)


def _prepare(client: DockerRegistryV2Client, provider: Provider) -> None:
    """Tell the client how this provider deletes."""
    if provider.takes_tags_along:
        client.deletions.by_tag, client.deletions.takes_tags_along = False, True
    elif provider.untags:
        client.deletions.by_tag, client.deletions.untag = True, provider.untag
