"""Whether a store has a manifest or a blob."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from regscope.errors import ContentMissing, RegscopeError, RequestErrorWithResponse, ResourceNotFound
from regscope.registry.blob_stat import has_another_size
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.registry_store import client_of


class FoundBlob(NamedTuple):
    """Whether a blob exists, and its bytes; None for the bytes where it does not, or the store does not state them."""

    is_there: bool
    size: int | None


_Found = TypeVar("_Found")


def is_absent(error: RegscopeError) -> bool:
    """Whether an error means that content is missing, as stated by the store or by a proxy before it."""
    return isinstance(error, ContentMissing | ResourceNotFound)


def is_gone(error: RegscopeError) -> bool:
    """Whether an error means that content is missing, as stated by the store itself, and not by a proxy."""
    return is_absent(error) and (not isinstance(error, ResourceNotFound) or bool(error.code))


def unless_absent(read: Callable[[], _Found]) -> _Found | None:
    """The result of `read`; None where it raises an error for missing content."""
    try:
        return read()
    except RegscopeError as error:
        if is_absent(error):
            return None
        raise


def resolved(store: ContentStore, repository: str, reference: str) -> Digest | None:
    """The current digest of a tag, or a digest whose manifest exists; None for a missing tag or manifest."""
    try:
        return store.resolve(repository, reference)
    except RegscopeError as error:
        if is_gone(error):
            return None
        raise


def find_blob(store: ContentStore, repository: str, digest: Digest) -> FoundBlob:
    """Look for a blob.

    Raises:
        RegscopeError: the store denies access, or cannot be reached.
    """
    try:
        return FoundBlob(True, store.blob_size(repository, digest))
    except RegscopeError as error:
        if is_absent(error):  # errors of storage have no registry's error code
            return FoundBlob(False, None)
        if (
            isinstance(error, RequestErrorWithResponse) and error.status_code is not None and error.status_code < 400
        ):  # the blob exists, but its size is not stated
            return FoundBlob(True, None)
        raise


def is_of_size(store: ContentStore, repository: str, digest: Digest, size: int, stated: int | None) -> bool:
    """Whether a blob has the expected size; where the `stated` one of a HEAD differs, a GET is asked as well."""
    if stated in (None, size):
        return True
    client = client_of(store)
    return client is not None and not has_another_size(client, repository, digest, size, stated)


def has_blob(store: ContentStore, repository: str, digest: Digest) -> bool:
    """Whether a blob exists; see `find_blob`."""
    return find_blob(store, repository, digest).is_there
