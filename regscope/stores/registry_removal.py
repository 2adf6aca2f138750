"""Taking images away from a registry (distribution-spec, Content Management)."""

from __future__ import annotations

from collections.abc import Callable, Collection

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
    """Takes away from a registry through `client` (distribution-spec, Content Management)."""

    frees_at_once = False

    def __init__(self, client: DockerRegistryV2Client) -> None:
        self.client = client

    def untag(self, repository: str, tag: str, standing_in: Callable[[Digest], None] | None = None) -> None:
        """By the tag's name; where the registry knows no such deletion, by a stand-in."""
        untag(self.client, repository, tag, standing_in=standing_in)

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """With the tags that are found on it."""
        ManifestRef(repository, digest, self.client).delete()

    def forget_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> None:
        """With these tags, which are looked at afterwards."""
        Deletion(self.client, repository).manifest(digest, tags)

    def check_deletes(self, repository: str) -> None:
        """By asking to delete what cannot be there."""
        Deletion(self.client, repository).make_sure()

    def how_tags_go(self, repository: str) -> str:
        """By asking to delete one that cannot be there."""
        return _BY_NAME if Deletion(self.client, repository).knows_tags() else _NOT_BY_NAME

    def check_untags(self, repository: str) -> None:
        """By asking to put what no registry takes: before a tag goes its manifest, or a stand-in, is put."""
        Deletion(self.client, repository).make_sure_it_takes()

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """By one DELETE request."""
        Blob(repository, digest, client=self.client).delete()


def removing_from(store: RegistryStore) -> RegistryRemoval:
    """The registry that is open, to take images away from."""
    return RegistryRemoval(store.client)
