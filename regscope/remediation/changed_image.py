"""An image, or all images of an index, with other layers, before and after the change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from regscope import text
from regscope.errors import InvalidInput
from regscope.images.image import HeldLayer, Image
from regscope.images.image_names import split_name
from regscope.images.image_tree import ImageTree, read_tree
from regscope.registry.manifests import RawManifest
from regscope.spec.digest import Digest
from regscope.spec.index_children import child_for
from regscope.spec.json_forms import compact
from regscope.spec.manifest import Index
from regscope.spec.media_types import DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST
from regscope.spec.platform import Platform
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination
from regscope.stores.stored_content import StoredContent


class ChangedLayer(NamedTuple):
    """A layer of an image before and after a change; `after` is None for a layer that was dropped.

    Attributes:
        entries, bytes: the numbers of entries and bytes that were dropped from its tar.
    """

    before: HeldLayer
    after: HeldLayer | None
    entries: int = 0
    bytes: int = 0


class ChangedImage(NamedTuple):
    """An image of one platform before and after a change; both are the same object where nothing changes."""

    before: Image
    after: Image
    layers: list[ChangedLayer]
    notes: list[str]

    @property
    def is_changed(self) -> bool:
        """Whether the digest of the image changes."""
        return self.before.digest != self.after.digest


Change = Callable[[ContentStore, str, Image], ChangedImage]
"""A function that changes an image of a repository."""


@dataclass(frozen=True)
class ChangedTree:
    """The image or index of a name, before and after a change.

    Attributes:
        repository: the repository from which it was read.
        named: the digest of the name: that of the index, also where one of its images replaces it.
        before, after: the manifest, of an image or of an index.
        images: the images of the index, or the one image; each digest once.
        kept: the other children of the index, which do not change.
        notes: sentences on what is dropped and what is kept.
    """

    repository: str
    named: Digest
    before: RawManifest
    after: RawManifest
    images: list[ChangedImage]
    kept: list[ImageTree]
    notes: list[str]

    def blobs(self) -> dict[Digest, int]:
        """The sizes in bytes of all blobs and manifests after the change, by digest."""
        found = {self.after.digest: len(self.after.raw)}
        for image in self.images:
            found |= manifest_blobs(image.after)
        for part in self._kept_parts():
            found |= {part.manifest.digest: len(part.manifest.raw), **{blob.digest: blob.size for blob in part.blobs}}
        return found

    def _kept_parts(self) -> Iterator[ImageTree]:
        for tree in self.kept:
            for _, part in tree.everything():
                yield part

    def send(self, store: ContentStore, place: Destination, repository: str, tag: str) -> None:
        """Write the changed image or index: blobs first, then children, then the manifest with the tag."""
        place.check(repository, tag, self.after)
        for image in self.images:
            image.after.send_blobs(place, repository)
            if image.after.digest != self.after.digest:
                place.take_manifest(repository, None, image.after.raw)
        for part in self._kept_parts():
            if not place.has_manifest(repository, part.manifest.digest):
                for blob in part.blobs:
                    place.take_blob(repository, blob.digest, StoredContent(store, part.repository, blob), None)
                place.take_manifest(repository, None, part.manifest)
        place.take_manifest(repository, tag, self.after)


def manifest_blobs(image: Image) -> dict[Digest, int]:
    """The sizes in bytes of an image's blobs and manifest, by digest."""
    layers = {layer.descriptor.digest: layer.descriptor.size for layer in image.layers}
    return {image.digest: len(image.raw.raw), Digest.of(image.config_bytes): len(image.config_bytes), **layers}


def changed_tree(store: ContentStore, name: str, platform: Platform | None, change: Change) -> ChangedTree:
    """Apply a change to an image, or to each image of an index.

    Args:
        platform: change only the image of this platform; it replaces the index.

    Raises:
        ContentMissing, ResourceNotFound: there is no such image.
        InvalidInput: the name is no image's, or the index has no images.
    """
    repository, reference = split_name(name)
    found = store.manifest(repository, reference)
    named, manifest = found.digest, found.parse()
    if manifest.is_index:
        if platform is None:
            return _changed_index(store, repository, found, manifest, name, change)
        found = store.manifest(repository, child_for(manifest, platform, name).digest)
    image = change(store, repository, Image.read(store, f"{repository}@{found.digest}"))
    if platform is not None and platform.distance(_platform_of(image.before)) is None:
        raise InvalidInput(f"{name} is for {_platform_of(image.before)}, not for {platform}")
    return ChangedTree(repository, named, found, image.after.raw, [image], [], image.notes)


def _changed_index(
    store: ContentStore, repository: str, found: RawManifest, index: Index, name: str, change: Change
) -> ChangedTree:
    digests = dict.fromkeys(child.digest for child in index.manifests if child.is_image)
    if not digests:
        raise InvalidInput(f"{name} is an index without images")
    images = {digest: change(store, repository, Image.read(store, f"{repository}@{digest}")) for digest in digests}
    changed = {digest: image.after for digest, image in images.items() if image.is_changed}
    gone = {child.digest for child in index.manifests if child.attested in changed}
    others = dict.fromkeys(child.digest for child in index.manifests if child.digest not in images)
    notes = list(dict.fromkeys(note for image in images.values() for note in image.notes))
    if gone:
        notes.append(f"Left out of the new index: {text.count(len(gone), 'attestation')} of images that were changed.")
    if nested := [child for child in index.manifests if child.digest in others and not child.is_artifact]:
        notes.append(f"Not changed in the new index: {text.count(len(nested), 'child', 'children')} other than images.")
    return ChangedTree(
        repository,
        found.digest,
        found,
        _new_index(found, changed, gone) if changed else found,
        list(images.values()),
        [read_tree(store, repository, digest) for digest in others if digest not in gone],
        notes,
    )


def _new_index(found: RawManifest, changed: dict[Digest, Image], gone: set[Digest]) -> RawManifest:
    """The index with changed entries; its other fields, also unknown ones, stay. OCI images make it an OCI index."""
    document = json.loads(found.raw)
    kept = [entry for entry in document["manifests"] if entry["digest"] not in gone]
    document["manifests"] = [_new_entry(entry, changed.get(entry["digest"])) for entry in kept]
    media_type = found.parse().media_type
    if media_type == DOCKER_MANIFEST_LIST and any(image.media_type == OCI_MANIFEST for image in changed.values()):
        media_type = document["mediaType"] = OCI_INDEX
    raw = compact(document)
    return RawManifest(raw, Digest.of(raw), media_type)


def _new_entry(entry: dict[str, Any], image: Image | None) -> dict[str, Any]:
    if image is None:
        return entry
    rest = {key: value for key, value in entry.items() if key != "data"}
    return {**rest, "mediaType": image.media_type, "digest": image.digest, "size": len(image.raw.raw)}


def _platform_of(image: Image) -> Platform:
    config = image.image_json
    return Platform(os=config.os, architecture=config.architecture, variant=config.variant)


def platform_name(image: Image) -> str:
    """The platform of an image, such as `linux/arm64/v8`."""
    return str(_platform_of(image))
