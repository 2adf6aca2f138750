"""Whether a store has what a reference names."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from regscope.errors import ContentMissing, RegscopeError, RequestErrorWithResponse, ResourceNotFound
from regscope.registry.blob_stat import has_another_size
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.registry_store import client_of


class FoundBlob(NamedTuple):
    """Whether a blob is there, and its bytes; None for these where it is not, or the store does not say."""

    is_there: bool
    size: int | None


_Found = TypeVar("_Found")


def is_absent(error: RegscopeError) -> bool:
    """Whether a store said, or whatever stands before it, that something is not there."""
    return isinstance(error, ContentMissing | ResourceNotFound)


def is_gone(error: RegscopeError) -> bool:
    """Whether a store said that something is not there; what was no registry's answer says nothing."""
    return is_absent(error) and (not isinstance(error, ResourceNotFound) or bool(error.code))


def unless_absent(read: Callable[[], _Found]) -> _Found | None:
    """What `read` gives; None where it says that this is not there."""
    try:
        return read()
    except RegscopeError as error:
        if is_absent(error):
            return None
        raise


def resolved(store: ContentStore, repository: str, reference: str) -> Digest | None:
    """What a tag points to now, or a digest whose manifest is there; None for what is gone."""
    try:
        return store.resolve(repository, reference)
    except RegscopeError as error:
        if is_gone(error):
            return None
        raise


def find_blob(store: ContentStore, repository: str, digest: Digest) -> FoundBlob:
    """Look for a blob.

    Raises:
        RegscopeError: the store did not say: it refuses to, or it cannot be reached.
    """
    try:
        return FoundBlob(True, store.blob_size(repository, digest))
    except RegscopeError as error:
        if is_absent(error):  # storage that is behind a registry has no code of a registry's
            return FoundBlob(False, None)
        if (
            isinstance(error, RequestErrorWithResponse) and error.status_code is not None and error.status_code < 400
        ):  # it was found, and its size is not stated
            return FoundBlob(True, None)
        raise


def is_of_size(store: ContentStore, repository: str, digest: Digest, size: int, stated: int | None) -> bool:
    """Whether a blob has a size, of which the store has `stated` one: that of a HEAD may not be that of its GET."""
    if stated in (None, size):
        return True
    client = client_of(store)
    return client is not None and not has_another_size(client, repository, digest, size, stated)


def has_blob(store: ContentStore, repository: str, digest: Digest) -> bool:
    """Whether a blob is there; see `find_blob`."""
    return find_blob(store, repository, digest).is_there
