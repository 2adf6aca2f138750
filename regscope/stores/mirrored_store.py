"""A registry with mirrors: content is read from the mirrors by digest; tags are read only from the registry."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from regscope import text
from regscope.errors import DigestMismatch, MirrorWarning, RegscopeError
from regscope.registry.manifests import RawManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, verified
from regscope.stores.content_store import ContentStore
from regscope.stores.presence import is_absent
from regscope.stores.wrapped_store import WrappedStore

_Content = TypeVar("_Content")

_ASIDE_FOR = 60.0
"""Seconds for which a mirror is not used after a failure."""


class Mirror(NamedTuple):
    """A mirror of the registry's content, in repositories named `prefix` and the repository's name."""

    store: ContentStore
    prefix: str = ""


class MirroredStore(WrappedStore):
    """`store`, with the content of manifests and blobs read from the first of `mirrors` that has it.

    Tags are resolved at the registry, so that no mirror's stale tag is used, and content is requested from mirrors only
    by digest: it is the registry's content from any of them. A mirror that fails is not used for a minute, with a
    MirrorWarning; a mirror without the content has not failed.
    """

    def __init__(self, store: ContentStore, mirrors: Sequence[Mirror]) -> None:
        super().__init__(store)
        self.mirrors = tuple(mirrors)
        self._aside_until: dict[int, float] = {}
        self._lock = threading.Lock()

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """As resolved by the registry; a new manifest is read from the first mirror that has it."""
        digest = self.store.resolve(repository, tag)
        return None if digest == known else self.manifest(repository, digest)

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """The manifest, from the first mirror that has the digest; the registry resolves a tag."""
        digest = reference if ":" in reference else self.store.resolve(repository, reference)
        return self._first(repository, lambda store, name: store.manifest(name, digest))

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """The blob, from the first mirror that has it."""
        return self._first(repository, lambda store, name: store.read_blob(name, digest, limit))

    def blob_size(self, repository: str, digest: str) -> int:
        """The size at the first mirror that has the blob."""
        return self._first(repository, lambda store, name: store.blob_size(name, digest))

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """The blob, from the first mirror that has it; if the transfer breaks off, the rest from the next ones."""
        return verified(self._pieces(repository, digest), Digest(digest), f"the blob in {repository}")

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """The whole blob as `blob` does; a rest is read from the registry."""
        return self.store.rest_of_blob(repository, blob, start) if start else self.blob(repository, blob.digest)

    def _first(self, repository: str, ask: Callable[[ContentStore, str], _Content]) -> _Content:
        for number in self._willing():
            mirror = self.mirrors[number]
            try:
                return ask(mirror.store, mirror.prefix + repository)
            except RegscopeError as error:
                self._failed(number, error)
        return ask(self.store, repository)

    def _pieces(self, repository: str, digest: str) -> Iterator[bytes]:
        given = 0
        for number in self._willing():
            mirror = self.mirrors[number]
            try:
                for piece in _after(given, mirror.store.blob(mirror.prefix + repository, digest)):
                    given += len(piece)
                    yield piece
                return
            except RegscopeError as error:
                self._failed(number, error)
                if given and isinstance(error, DigestMismatch):  # wrong bytes were already passed on
                    raise
        yield from _after(given, self.store.blob(repository, digest))

    def _willing(self) -> Iterator[int]:
        for number in range(len(self.mirrors)):
            if self._aside_until.get(number, 0) <= time.monotonic():
                yield number

    def _failed(self, number: int, error: RegscopeError) -> None:
        if is_absent(error):
            return
        with self._lock:
            if self._aside_until.get(number, 0) > time.monotonic():  # another thread has already warned
                return
            self._aside_until[number] = time.monotonic() + _ASIDE_FOR
        location = self.mirrors[number].store.location
        warnings.warn(
            MirrorWarning(
                f"the mirror {location} failed, and is not used for a minute: {text.plain(error.message, 500)}"
            ),
            stacklevel=2,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Monotonic times and a lock are of no use in another process.
        return type(self), (self.store, self.mirrors)

    def __repr__(self) -> str:
        return f"MirroredStore({self.store!r}, {list(self.mirrors)!r})"

    def _repr_html_(self) -> str:
        places = [f"{mirror.store.location}/{mirror.prefix}".rstrip("/") for mirror in self.mirrors]
        return text.card("Registry", {"address": self.location, "mirrors": ", ".join(places)})


def _after(start: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces without their first `start` bytes."""
    for piece in pieces:
        if rest := piece[start:]:
            yield rest
        start = max(start - len(piece), 0)
