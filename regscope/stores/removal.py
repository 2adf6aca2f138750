"""The protocol of stores from which images can be deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from regscope.errors import InvalidInput
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import load
from regscope.stores.open_store import as_it_is_now


class Removal(Protocol):
    """A store from which tags, manifests and blobs can be deleted. Nothing else is deleted unless documented."""

    frees_at_once: bool
    """Whether storage is freed at once; else it is freed at the store's next garbage collection."""

    def untag(self, repository: str, tag: str, standing_in: Callable[[Digest], None] | None = None) -> None:
        """Remove a tag; its manifest and the manifest's other tags are kept.

        Args:
            standing_in: called with the stand-in manifest that is pushed to the tag and deleted with it, if needed.

        Raises:
            ResourceNotFound, ContentMissing: the tag does not exist.
            Unsupported: the store does not support deletion; nothing was changed.
        """

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Delete a manifest, and every tag that points to it.

        Raises:
            ResourceNotFound, ContentMissing: the manifest does not exist.
            Unsupported: the store does not support deletion; nothing was changed.
        """

    def forget_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> None:
        """Delete a manifest and every tag that points to it; lists of referrers are not changed.

        Args:
            tags: the known tags of the manifest.

        Raises:
            As `delete_manifest`.
        """

    def check_deletes(self, repository: str) -> None:
        """Make sure that the store supports deletion, without changing anything.

        Raises:
            Unsupported: the store does not support it.
            PermissionDeny, AuthFailed: the credentials do not allow it.
        """

    def how_tags_go(self, repository: str) -> str:
        """Find out how tags are removed, without changing anything: a sentence; empty where there is nothing to note.

        Raises:
            PermissionDeny, AuthFailed: the credentials do not allow it.
        """

    def check_untags(self, repository: str) -> None:
        """Make sure that a tag can be removed from a kept manifest, without changing anything.

        Raises:
            Unsupported, PermissionDeny, AuthFailed: the store refuses a request that this needs.
        """

    def can_restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """Whether whoever runs the store says that a deleted manifest can be restored there.

        Args:
            native_id: the id of the manifest in the provider's own API, where the journal has it.
        """

    def restore(self, repository: str, digest: Digest, native_id: str | None = None) -> bool:
        """Have whoever runs the store restore a deleted manifest; its tags may be restored with it.

        Returns:
            Whether the store has the manifest now; False where nobody can restore it.

        Raises:
            RequestError: the provider failed.
        """

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """Delete a blob, even if manifests need it.

        Raises:
            ResourceNotFound, ContentMissing: the blob does not exist.
            Unsupported: the store does not support deletion; nothing was changed.
        """


def open_removal(place: ContentStore | str) -> Removal:
    """Open a store or a location for deletions.

    Args:
        place: a store, or a location as for `regscope.open`.

    Raises:
        InvalidInput: `place` is an archive, which is read only.
        RegscopeError: as for `regscope.open`.
    """
    store = as_it_is_now(place)
    if not store.kind.remover:
        raise InvalidInput(f"{store.location} is read only", next_step="Copy the images to keep: regscope image copy.")
    opened: Removal = load(store.kind.remover)(store)
    return opened
