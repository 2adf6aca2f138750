"""An image with all that hangs on it: the children of an index, and what refers to it."""

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
    """A manifest, and what belongs to it.

    Attributes:
        repository: where it was read.
        manifest: as it is to be written.
        blobs: what the manifest names.
        children: of an index; one that is named by several is the same object in all of them.
        referrers: each with the tag that it goes by, as cosign's do, or None.
        height: how far what belongs to it goes on below it; 0 where nothing does.
    """

    repository: str
    manifest: RawManifest
    blobs: list[Descriptor] = field(default_factory=list)
    children: list[ImageTree] = field(default_factory=list)
    referrers: list[tuple[str | None, ImageTree]] = field(default_factory=list)
    height: int = 0

    def everything(self, tag: str | None = None) -> Iterator[tuple[str | None, ImageTree]]:
        """This one and all that belongs to it, each with its tag, and once, however often it is named.

        In the order to write them in: children before their index, and what refers to something after that.
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
        platforms: which children of an index: for each platform those that fit it best (see `Platform.distance`); all
            by default. With one platform its image stands in the index's place; with several, an index of the images
            and of their attestations.
        referrers: with what refers to it or to its children, by the store's own list, its fallback tags, or cosign's.

    Raises:
        ContentMissing: an index has none of `platforms`.
        InvalidManifest: indexes within indexes without end.
        RegscopeError: one of them cannot be read.
    """
    return _Reader(store, repository, referrers).tree(reference, tuple(platforms))


def read_node(store: ContentStore, repository: str, digest: str) -> ImageTree:
    """Read a manifest by itself: what it names as blobs, and nothing of what it names as manifests.

    Raises:
        RegscopeError: it cannot be read.
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
        """What an index names, or what refers to something, `depth` levels below the image."""
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
        """All that an index names; docker and podman may save one whose other platforms they never had."""
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
        step = f"Choose what is there: {', '.join(there)}." if there else "It is incomplete: get it again."
        raise ContentMissing(f"{name} is an index that names {what}, which is not there", next_step=step)

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
        raise ContentMissing(f"{name} has no image for {wanted}", next_step=f"It is there for: {platforms_of(index)}")
    if len(platforms) == 1:
        return images[:1]
    digests = {image.digest for image in images}
    return [child for child in index.manifests if child.digest in digests or child.attested in digests]


def _narrowed(index: RawManifest, chosen: Sequence[Descriptor]) -> RawManifest:
    """The index with only some of its entries; all else in it, known or not, stays."""
    document = json.loads(index.raw)
    kept = {child.digest for child in chosen}
    document["manifests"] = [entry for entry in document["manifests"] if entry["digest"] in kept]
    raw = compact_with_letters(document)
    return RawManifest(raw, Digest.of(raw), index.media_type)
