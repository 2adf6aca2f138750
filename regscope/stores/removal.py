"""Where images can be taken away from, whatever holds them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from regscope.errors import InvalidInput
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.kinds import load
from regscope.stores.open_store import as_it_is_now


class Removal(Protocol):
    """A store that gives up what it has. Nothing else goes along, except where that is said."""

    frees_at_once: bool
    """Whether bytes are free at once; else at the store's next garbage collection."""

    def untag(self, repository: str, tag: str, standing_in: Callable[[Digest], None] | None = None) -> None:
        """Remove a tag; its manifest and the other tags on it stay.

        Args:
            standing_in: hears of a manifest that is pushed over the tag to be deleted with it, where that is needed.

        Raises:
            ResourceNotFound, ContentMissing: no such tag.
            Unsupported: nothing is deleted here; nothing was changed.
        """

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Delete a manifest, and with it every tag on it.

        Raises:
            ResourceNotFound, ContentMissing: no such manifest.
            Unsupported: nothing is deleted here; nothing was changed.
        """

    def forget_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> None:
        """Delete a manifest and every tag on it, and change nothing else: lists of referrers stay as they are.

        Args:
            tags: those that are known to be on it.

        Raises:
            As `delete_manifest`.
        """

    def check_deletes(self, repository: str) -> None:
        """Make sure that there is deletion here, and change nothing.

        Raises:
            Unsupported: there is none.
            PermissionDeny, AuthFailed: these credentials may not.
        """

    def how_tags_go(self, repository: str) -> str:
        """Find out how a tag is removed, and change nothing: a sentence; empty where there is nothing to say.

        Raises:
            PermissionDeny, AuthFailed: these credentials may not.
        """

    def check_untags(self, repository: str) -> None:
        """Make sure that a tag can be taken from a manifest that stays, and change nothing.

        Raises:
            Unsupported, PermissionDeny, AuthFailed: what is needed for it is refused.
        """

    def delete_blob(self, repository: str, digest: Digest) -> None:
        """Delete a blob, whatever needs it.

        Raises:
            ResourceNotFound, ContentMissing: no such blob.
            Unsupported: nothing is deleted here; nothing was changed.
        """


def open_removal(place: ContentStore | str) -> Removal:
    """Open a place to take images away from.

    Args:
        place: a store, or a location as for `regscope.open`.

    Raises:
        InvalidInput: an archive, which is read only.
        RegscopeError: as `regscope.open`.
    """
    store = as_it_is_now(place)
    if not store.kind.remover:
        raise InvalidInput(f"{store.location} is read only", next_step="Copy what is to stay: regscope image copy.")
    opened: Removal = load(store.kind.remover)(store)
    return opened
