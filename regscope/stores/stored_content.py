"""A blob of a store, as content for an upload."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import no_longer_than
from regscope.stores.content_store import ContentStore


@dataclass(frozen=True)
class StoredContent:
    """The blob in `repository`, not verified: the destination verifies it."""

    store: ContentStore
    repository: str
    blob: Descriptor
    can_start_again = True

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.blob.size

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """The bytes after the first `start` ones."""
        if start < self.size or start == 0:
            rest = self.store.rest_of_blob(self.repository, self.blob, start)
            yield from no_longer_than(rest, self.size - start, f"the blob {self.blob.digest} in {self.repository}")
