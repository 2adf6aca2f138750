"""`ImageTree`: an image with its blobs, the children of an index, and its referrers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from regscope.errors import ContentMissing
from regscope.images.image_names import named
from regscope.images.referring import referrers_of
from regscope.registry.manifests import RawManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.index_children import DEEPEST, best_children, platforms_of, too_deep
from regscope.spec.json_forms import compact_with_letters
from regscope.spec.manifest import Index, Manifest, ManifestSchema1
from regscope.spec.platform import Platform
from regscope.stores.content_store import ContentStore


@dataclass
class ImageTree:
    """A manifest with its blobs, children and referrers.

    Attributes:
        repository: the repository from which it was read.
        manifest: the manifest as it is to be written.
        blobs: the blobs that the manifest names.
        children: the children of an index; a child of several indexes is one object in all of them.
        referrers: the referrers, each with the tag under which it was found (cosign's), or None.
        height: the number of levels below it; 0 without children and referrers.
    """

    repository: str
    manifest: RawManifest
    blobs: list[Descriptor] = field(default_factory=list)
    children: list[ImageTree] = field(default_factory=list)
    referrers: list[tuple[str | None, ImageTree]] = field(default_factory=list)
    height: int = 0

    def everything(self, tag: str | None = None) -> Iterator[tuple[str | None, ImageTree]]:
        """This manifest and all below it, each once with its tag.

        They are in the order in which they must be written: children before their index, referrers after their subject.
        """
        return self._walk(tag, set())

    def _walk(self, tag: str | None, seen: set[tuple[str | None, Digest]]) -> Iterator[tuple[str | None, ImageTree]]:
        key = (tag, self.manifest.digest)
        if key in seen:
            return
        seen.add(key)
        for child in self.children:
            yield from child._walk(None, seen)
        yield tag, self
        for name, referrer in self.referrers:
            yield from referrer._walk(name, seen)


def read_tree(
    store: ContentStore, repository: str, reference: str, platforms: Sequence[Platform] = (), referrers: bool = False
) -> ImageTree:
    """Read the manifests of an image.

    Args:
        platforms: the platforms of an index to read: for each the children that fit it best (see `Platform.distance`);
            all by default. With one platform its image replaces the index; with several, a new index has their images
            and the attestations of these.
        referrers: also read the referrers of the image and of its children: those in the referrers API, under the
            fallback tags, and under cosign's tags.

    Raises:
        ContentMissing: an index has no image for one of `platforms`.
        InvalidManifest: indexes are nested too deeply.
        RegscopeError: one of the manifests cannot be read.
    """
    return _Reader(store, repository, referrers).tree(reference, tuple(platforms))


def read_node(store: ContentStore, repository: str, digest: str) -> ImageTree:
    """Read one manifest and its list of blobs, without children and referrers.

    Raises:
        RegscopeError: the manifest cannot be read.
    """
    found = store.manifest(repository, digest)
    return ImageTree(repository, found, blobs=_Reader(store, repository, False).blobs(found.parse()))


class _Reader:
    def __init__(self, store: ContentStore, repository: str, referrers: bool) -> None:
        self._store = store
        self._repository = repository
        self._referrers = referrers
        self._tags = store.tags(repository) if referrers else []
        self._trees: dict[Digest, ImageTree] = {}  # each manifest is read once
        self._lost: dict[Digest, ContentMissing] = {}

    def tree(self, reference: str, platforms: Sequence[Platform] = (), depth: int = 0) -> ImageTree:
        name = named(self._repository, reference)
        if depth > DEEPEST:
            raise too_deep(name)
        found = self._store.manifest(self._repository, reference)
        manifest = found.parse()
        if manifest.is_index and platforms:
            chosen = _chosen(manifest, platforms, name)
            if len(chosen) == 1:
                return self.tree(chosen[0].digest, platforms, depth + 1)
            if len(chosen) < len(manifest.manifests):
                found = _narrowed(found, chosen)
                manifest = manifest.model_copy(update={"manifests": chosen})
        children = self._children(manifest.children, name, depth)
        made = ImageTree(self._repository, found, blobs=self.blobs(manifest), children=children)
        self._trees[found.digest] = made
        if self._referrers:
            made.referrers = self._referring_to(found.digest, depth)
        made.height = max(
            (1 + below.height for below in (*made.children, *(tree for _, tree in made.referrers))), default=0
        )
        return made

    def _below(self, digest: Digest, depth: int) -> ImageTree:
        """The tree of a child or referrer, `depth` levels below the image."""
        if digest in self._lost:
            raise self._lost[digest]
        try:
            found = self._trees.get(digest) or self.tree(digest, (), depth)
        except ContentMissing as error:
            self._lost[digest] = error
            raise
        if depth + found.height > DEEPEST:
            raise too_deep(named(self._repository, digest))
        return found

    def _children(self, children: Sequence[Descriptor], name: str, depth: int) -> list[ImageTree]:
        """The trees of an index's children; an index saved by docker or podman may lack the other platforms."""
        trees: dict[Digest, ImageTree] = {}
        there: list[str] = []
        lost: Descriptor | None = None
        for child in children:
            try:
                trees[child.digest] = self._below(child.digest, depth + 1)
                there += [str(child.platform)] if child.platform and not child.is_artifact else []
            except ContentMissing:
                lost = lost or child
        if lost is None:
            return list(trees.values())
        what = f"{lost.digest} for {lost.platform}" if lost.platform else lost.digest
        step = f"Choose a stored platform: {', '.join(there)}." if there else "The index is incomplete: get it again."
        raise ContentMissing(f"{name} is an index with {what}, which is not stored", next_step=step)

    def blobs(self, manifest: Manifest) -> list[Descriptor]:
        if isinstance(manifest, ManifestSchema1):
            return [self._measured(layer.digest) for layer in manifest.stored_blobs]
        return list(manifest.stored_blobs)

    def _measured(self, digest: Digest) -> Descriptor:
        size = self._store.blob_size(self._repository, digest)
        return Descriptor(mediaType="application/octet-stream", digest=digest, size=size)

    def _referring_to(self, digest: Digest, depth: int) -> list[tuple[str | None, ImageTree]]:
        found = referrers_of(self._store, self._repository, digest, self._tags)
        fresh = [each for each in found if each.tag is not None or each.digest not in self._trees]
        return [(each.tag, self._below(each.digest, depth + 1)) for each in fresh]


def _chosen(index: Index, platforms: Sequence[Platform], name: str) -> list[Descriptor]:
    images = [child for wanted in platforms for child in best_children(index.manifests, wanted)]
    if not images:
        wanted = ", ".join(map(str, platforms))
        raise ContentMissing(f"{name} has no image for {wanted}", next_step=f"Choose from {platforms_of(index)}.")
    if len(platforms) == 1:
        return images[:1]
    digests = {image.digest for image in images}
    return [child for child in index.manifests if child.digest in digests or child.attested in digests]


def _narrowed(index: RawManifest, chosen: Sequence[Descriptor]) -> RawManifest:
    """The index with only the chosen entries; all its other fields, also unknown ones, stay the same."""
    document = json.loads(index.raw)
    kept = {child.digest for child in chosen}
    document["manifests"] = [entry for entry in document["manifests"] if entry["digest"] in kept]
    raw = compact_with_letters(document)
    return RawManifest(raw, Digest.of(raw), index.media_type)
