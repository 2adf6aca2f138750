"""A registry's own storage as a store: unlike the API, it shows untagged manifests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from regscope import text
from regscope.errors import ContentMissing, InvalidDigest, RegscopeError
from regscope.masking import without_secrets
from regscope.pieces import pieces_of
from regscope.registry.manifests import RawManifest
from regscope.registry.responses import METADATA_LIMIT
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, verified
from regscope.spec.manifest import OCIManifestSchema1
from regscope.stores.content_store import no_such_repository, no_such_tag
from regscope.stores.kinds import STORAGE
from regscope.stores.storage_tree import StorageTree
from regscope.stores.stored_names import Fault

_EMPTY = b"{}"


class RegistryStorageStore:
    """Images in the storage of distribution's registry, read only.

    A manifest is in a repository if the repository has a link to it, as in the registry itself; content is verified.

    Args:
        location: see `StorageTree`.
    """

    kind = STORAGE
    sees_untagged = True
    counts_pulls = False
    rate_limit = None
    capabilities = None

    def __init__(self, location: str) -> None:
        self._place = without_secrets(location)
        self._tree = StorageTree(location)
        self._known: dict[str, _Graph] = {}

    @property
    def location(self) -> str:
        """`storage:` and the place, without secrets."""
        return self.kind.at(self._place)

    def repositories(self) -> list[str]:
        """All repositories that have a folder of manifests."""
        return self._tree.repositories()

    def tags(self, repository: str) -> list[str]:
        """All tags that have a folder."""
        found = self._tree.tags(repository)
        if found is None:
            raise no_such_repository(self, repository)
        return found

    def untagged(self, repository: str) -> list[Digest]:
        """Manifests that are below no tag, and no child or referrer of another manifest of the repository."""
        graph = self._graph(repository)
        tagged = {self._tree.tagged(repository, tag) for tag in self._tree.tags(repository) or ()}
        return sorted(graph.onward.keys() - graph.reached(tagged) - graph.held)

    def resolve(self, repository: str, tag: str) -> Digest:
        """The digest in the tag's link; a digest itself, if the repository has a link to it and its file exists."""
        if ":" in tag:
            if not self._tree.has_revision(repository, Digest(tag)):
                raise ContentMissing(f"{repository} in {self.location} has no manifest {tag}")
            self._tree.blob_size(Digest(tag))
            return Digest(tag)
        found = self._tree.tagged(repository, tag)
        if found is None:
            raise no_such_tag(self, repository, tag)
        return found

    def changed(self, repository: str, tag: str, known: Digest) -> RawManifest | None:
        """The manifest, if `resolve` returns another digest than `known`."""
        return None if self.resolve(repository, tag) == known else self.manifest(repository, tag)

    def manifest(self, repository: str, reference: str) -> RawManifest:
        """The manifest of a tag or a digest."""
        digest = Digest(reference) if ":" in reference else self.resolve(repository, reference)
        if not self._tree.has_revision(repository, digest):
            raise ContentMissing(
                f"{repository} in {self.location} has no manifest {digest}",
                next_step="It was deleted; push the image again if it is still needed.",
            )
        return RawManifest(self.read_blob(repository, digest, METADATA_LIMIT), digest, None)

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """The blob, streamed from its file and verified."""
        wanted = Digest(digest)
        with self._tree.open_blob(wanted) as file:
            yield from verified(pieces_of(file), wanted, f"a blob of {self.location}")

    def rest_of_blob(self, repository: str, blob: Descriptor, start: int) -> Iterator[bytes]:
        """The rest of the blob, streamed from its file."""
        with self._tree.open_blob(blob.digest) as file:
            file.seek(start)
            yield from pieces_of(file)

    def read_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """The blob, read from its file and verified."""
        wanted = Digest(digest)
        return wanted.verify(self._tree.read_blob(wanted, limit), f"a blob of {self.location}")

    def blob_size(self, repository: str, digest: str) -> int:
        """The size of the blob's file."""
        return self._tree.blob_size(Digest(digest))

    def referrers(self, repository: str, digest: str) -> list[Descriptor] | None:
        """The repository's manifests that have this `subject`."""
        return self._graph(repository).referrers.get(digest, [])

    def faults(self, repository: str) -> list[Fault]:
        """None: names are unique."""
        return []

    def has_manifest(self, repository: str, digest: str) -> bool | None:
        """Whether the repository has a link to the manifest."""
        return digest in self._graph(repository).onward

    def stored_blobs(self) -> Mapping[str, int] | None:
        """All blobs, by one walk through the folder."""
        return self._tree.blobs()

    def pushed(self, repository: str, tag: str) -> datetime | None:
        """The time at which the tag's link was written."""
        return self._tree.pushed(repository, tag)

    def _graph(self, repository: str) -> _Graph:
        """The links of a repository's manifests, read again only when its list of manifests changes."""
        revisions = self._tree.revisions(repository)
        known = self._known.get(repository)
        if known is None or list(known.onward) != revisions:
            known = self._known[repository] = _Graph.of({each: self._document(each) for each in revisions})
        return known

    def _document(self, digest: Digest) -> bytes:
        """The bytes of a manifest; an empty document where it cannot be read, which the scan reports."""
        try:
            return digest.verify(self._tree.read_blob(digest, METADATA_LIMIT), f"a blob of {self.location}")
        except RegscopeError:
            return _EMPTY

    def __repr__(self) -> str:
        return f"RegistryStorageStore({self._place!r})"

    def _repr_html_(self) -> str:
        return text.card("A registry's storage", {"place": self._place, "repositories": len(self.repositories())})


class _Graph(NamedTuple):
    """The links between the manifests of a repository.

    Attributes:
        onward: the children and referrers of each manifest.
        held: the manifests that are a child or a referrer of another.
        referrers: the referrers by subject.
    """

    onward: dict[Digest, set[str]]
    held: set[str]
    referrers: dict[str, list[Descriptor]]

    @classmethod
    def of(cls, documents: Mapping[Digest, bytes]) -> _Graph:
        onward: dict[Digest, set[str]] = {digest: set() for digest in documents}
        referrers: dict[str, list[Descriptor]] = {}
        for digest, raw in documents.items():
            children, subject, descriptor = _links(digest, raw)
            onward[digest] |= children & onward.keys()
            if descriptor is not None and subject in onward:
                referrers.setdefault(subject, []).append(descriptor)
                onward[Digest(subject)].add(digest)
        return cls(onward, set().union(*onward.values()), referrers)

    def reached(self, roots: set[Digest | None]) -> set[str]:
        """The manifests `roots` and all below them."""
        found: set[str] = set()
        waiting: list[str] = [root for root in roots if root in self.onward]
        while waiting:
            digest = waiting.pop()
            if digest not in found:
                found.add(digest)
                waiting.extend(self.onward[Digest(digest)])
        return found


def _links(digest: Digest, raw: bytes) -> tuple[set[str], str, Descriptor | None]:
    """The children of a manifest, its subject, and its descriptor as a referrer; empty for invalid manifests."""
    try:
        document = json.loads(raw)
        children = {str(entry["digest"]) for entry in document.get("manifests") or ()}
        subject = str((document.get("subject") or {}).get("digest") or "")
        if not subject:
            return children, "", None
        parsed = RawManifest(raw, digest, None).parse()
        kind = parsed.artifactType if isinstance(parsed, OCIManifestSchema1) else None
        about = Descriptor(mediaType=parsed.media_type, digest=digest, size=len(raw), artifactType=kind)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, RegscopeError, InvalidDigest):
        return set(), "", None
    return children, subject, about
