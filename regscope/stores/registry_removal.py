"""Taking images away from a registry (distribution-spec, Content Management)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from regscope.errors import RequestError
from regscope.hosted.provider import Provider
from regscope.registry.blobs import Blob
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.deletion import Deletion
from regscope.registry.manifests import ManifestRef
from regscope.registry.untagging import untag
from regscope.spec.digest import Digest
from regscope.stores.registry_store import RegistryStore

_BY_NAME = "Tags are deleted by their names, before the manifest that they are on."
_NOT_BY_NAME = (
    "The registry deletes no tag by its name: a tag goes with its manifest, or with one that is pushed over it."
)


class RegistryRemoval:
    """Takes away from a registry through `client` (distribution-spec, Content Management).

    Args:
        provider: whoever runs it, where that is known; what it does in its own way is left to it.
    """

    frees_at_once = False

    def __init__(self, client: DockerRegistryV2Client, provider: Provider | None = None) -> None:
        self.client = client
        self._provider = provider
        if provider is not None and provider.takes_tags_along:
            client.deletions.by_tag, client.deletions.takes_tags_along = False, True

    def untag(self, repository: str, tag: str, standing_in: Callable[[Digest], None] | None = None) -> None:
        """By the tag's name; where the registry knows no such deletion, by a stand-in."""
        with self._explaining(repository):
            if self._provider is not None and self._provider.untags:
                self._provider.untag(repository, tag)
            else:
                untag(self.client, repository, tag, standing_in=standing_in)

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """With the tags that are found on it."""
        with self._explaining(repository):
            ManifestRef(repository, digest, self.client).delete()

    def forget_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> None:
        """With these tags, which are looked at afterwards."""
        with self._explaining(repository):
            Deletion(self.client, repository).manifest(digest, tags)

    def check_deletes(self, repository: str) -> None:
        """By asking to delete what cannot be there."""
        Deletion(self.client, repository).make_sure()

    def how_tags_go(self, repository: str) -> str:
        """By asking to delete one that cannot be there."""
        if self._provider is not None and self._provider.untags:
            return ""
        return _BY_NAME if Deletion(self.client, repository).knows_tags() else _NOT_BY_NAME

    def check_untags(self, repository: str) -> None:
        """By asking to put what no registry takes: before a tag goes its manifest, or a stand-in, is put."""
        if self._provider is not None and self._provider.untags:
            return
        Deletion(self.client, repository).make_sure_it_takes()

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """By one DELETE request."""
        Blob(repository, digest, client=self.client).delete()

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
    """The registry that is open, to take images away from."""
    return RegistryRemoval(store.client, store.provider)
