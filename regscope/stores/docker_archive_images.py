"""The images that the `manifest.json` of a docker-archive lists: their files, and their manifests.

The archive's new form also has the images' own manifests, in an `index.json`; in the old form each image gets a
schema 2 manifest of these files.
"""

from __future__ import annotations

import json
import posixpath
import re
from functools import cached_property
from typing import NamedTuple

from regscope.errors import ContentMissing, DigestMismatch, NotAStore, RegscopeError
from regscope.layers.compression import diff_id_of
from regscope.registry.responses import METADATA_LIMIT
from regscope.spec.descriptor import DockerConfigDescriptor, DockerLayerDescriptor
from regscope.spec.digest import Digest, Passing
from regscope.spec.image_config import parse_image_config
from regscope.spec.index_children import DEEPEST
from regscope.spec.manifest import ImageManifest, ManifestSchema2, OCIIndex, parse_manifest
from regscope.spec.media_types import DOCKER_LAYER, DOCKER_LAYER_TAR, OCI_LAYER_ZSTD
from regscope.stores.layout_store import blob_path
from regscope.stores.tar_members import TarMembers

_NAMED_BY_DIGEST = re.compile(r"(?:blobs/(?P<algorithm>sha256)/|sha256:)?(?P<encoded>[0-9a-f]{64})(?:\.json)?")
_MOST_ENTRIES = 10_000
_MAGIC = {b"\x1f\x8b": DOCKER_LAYER, b"\x28\xb5\x2f\xfd": OCI_LAYER_ZSTD}


class SavedImage(NamedTuple):
    """An image in `manifest.json`: the files of its config and its layers, and its names."""

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]


class SavedImages:
    """All images of an archive, in its order.

    Attributes:
        misnamed: files named by a digest that is not their own, with their own digest: docker, skopeo and crane accept
            them.

    Raises:
        NotAStore: `manifest.json` is missing, or is no list of images; the message is only the reason.
    """

    def __init__(self, members: TarMembers) -> None:
        self._members = members
        self._layers: dict[str, DockerLayerDescriptor] = {}
        self.misnamed: dict[str, Digest] = {}
        self.listed = self._read_list()

    def _read_list(self) -> list[SavedImage]:
        try:
            listed = json.loads(self._members.read("manifest.json", METADATA_LIMIT))
        except (ContentMissing, ValueError, RecursionError):
            raise NotAStore("it has no manifest.json that names images") from None
        if not isinstance(listed, list) or not all(_is_image(image) for image in listed):
            raise NotAStore("its manifest.json is not a list of images with Config and Layers")
        return [
            SavedImage(image["Config"], tuple(image.get("Layers") or ()), tuple(image.get("RepoTags") or ()))
            for image in listed
        ]

    @cached_property
    def manifests(self) -> list[ImageManifest | RegscopeError]:
        """The manifest of each image, or the error if it cannot be read; other images are not affected."""
        found: list[ImageManifest | RegscopeError] = []
        for image in self.listed:
            try:
                found.append(self._manifest_of(image))
            except RegscopeError as error:
                found.append(error)
        return found

    def files(self) -> dict[Digest, str]:
        """The file of each blob of the images that can be read."""
        found: dict[Digest, str] = {}
        for image, manifest in zip(self.listed, self.manifests, strict=True):
            if isinstance(manifest, ImageManifest):
                found[manifest.config.digest] = image.config
                found.update((layer.digest, name) for layer, name in zip(manifest.layers, image.layers, strict=True))
        return found

    @cached_property
    def _own_manifests(self) -> dict[tuple[str, ...], ImageManifest]:
        """The manifests in the archive, by the names of their config and layer files.

        In Docker 29's archives an image's own manifest is below an index of platforms, most of which are missing.
        """
        try:
            raw = self._members.read("index.json", METADATA_LIMIT)
            entries = OCIIndex.from_document(json.loads(raw), b"").manifests
        except (ContentMissing, ValueError, RecursionError):
            return {}
        found: dict[tuple[str, ...], ImageManifest] = {}
        waiting = [(entry, 0) for entry in reversed(entries)]
        seen: set[Digest] = set()
        while waiting and len(seen) < _MOST_ENTRIES:
            entry, depth = waiting.pop()
            if entry.digest in seen:
                continue
            seen.add(entry.digest)
            try:
                raw = self._members.read(blob_path(entry.digest), METADATA_LIMIT)
                manifest = parse_manifest(entry.digest.verify(raw, "a manifest"), entry.mediaType)
            except RegscopeError:  # not needed: the manifest is made from the files
                continue
            if isinstance(manifest, ImageManifest):
                files = [blob_path(blob.digest) for blob in manifest.blobs]
                found.setdefault(tuple(files), manifest)
            elif manifest.is_index and depth < DEEPEST:
                waiting += [(child, depth + 1) for child in reversed(manifest.manifests)]
        return found

    def _manifest_of(self, image: SavedImage) -> ImageManifest:
        own = self._own_manifests.get(tuple(posixpath.normpath(name) for name in (image.config, *image.layers)))
        if own is not None:
            return own
        raw = self._members.read(image.config, METADATA_LIMIT)
        self._compare(image.config, Digest.of(raw))
        layers = [self._described(name) for name in image.layers]
        diff_ids = parse_image_config(raw).rootfs.diff_ids
        for name, layer, diff_id in zip(image.layers, layers, diff_ids, strict=False):
            self._check_layer(name, layer, diff_id)
        return ManifestSchema2(config=DockerConfigDescriptor(digest=Digest.of(raw), size=len(raw)), layers=layers)

    def _check_layer(self, name: str, layer: DockerLayerDescriptor, diff_id: Digest) -> None:
        """Raise if a layer does not have the diff_id in its config; one named by its digest is trusted."""
        found = layer.digest
        if layer.mediaType != DOCKER_LAYER_TAR:
            if name not in self.misnamed:
                return
            found = diff_id_of(self._members.chunks(name))
        if found != diff_id:
            raise DigestMismatch(
                f"a layer of {self._members.location} hashes to {found}, and its diff_id is {diff_id}",
                next_step="The archive is damaged: save the image again.",
            )

    def _compare(self, name: str, found: Digest) -> None:
        """Record a file that is named by a digest that is not its own."""
        if (stated := _stated_digest(name)) and stated != found:
            self.misnamed[name] = found

    def _described(self, name: str) -> DockerLayerDescriptor:
        """The descriptor of the layer in a file; a file that images share is read once."""
        if name in self._layers:
            return self._layers[name]
        passing, start = Passing(), b""
        for chunk in passing.through(self._members.chunks(name)):
            start = start or chunk[:4]
        kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), DOCKER_LAYER_TAR)
        self._compare(name, passing.digest)
        described = DockerLayerDescriptor(mediaType=kind, digest=passing.digest, size=passing.size)
        return self._layers.setdefault(name, described)


def _is_image(image: object) -> bool:
    if not isinstance(image, dict) or not isinstance(image.get("Config"), str):
        return False
    layers, names = image.get("Layers") or [], image.get("RepoTags") or []  # Go encodes an empty list as null
    return all(isinstance(found, list) and all(isinstance(item, str) for item in found) for found in (layers, names))


def _stated_digest(name: str) -> Digest | None:
    """The digest in the file name of a config, or of a blob in the new form; old layer names are no such digests."""
    match = _NAMED_BY_DIGEST.fullmatch(posixpath.normpath(name))
    return Digest(f"{match['algorithm'] or 'sha256'}:{match['encoded']}") if match else None
