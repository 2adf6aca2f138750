"""`Image`: an image of one platform that can be changed without a daemon, and written to any store.

Each change returns a new image; equal changes of equal images give equal digests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from regscope import text
from regscope.concurrency import CHANGES_AT_ONCE
from regscope.errors import InvalidInput
from regscope.images.flattening import flattened
from regscope.images.image_names import split_name
from regscope.images.layer_types import layer_type
from regscope.images.scratch import Scratch
from regscope.layers.compression import GZIP, ZSTD, Compression, check_tar, diff_id_of, uncompressed
from regscope.registry.local_content import LocalContent
from regscope.registry.manifest_reader import RawManifest, image_below
from regscope.registry.request_body import Content
from regscope.registry.responses import METADATA_LIMIT
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, Passing, mismatch
from regscope.spec.image_config import ImageJSON, parse_image_config
from regscope.spec.json_forms import compact
from regscope.spec.manifest import ImageManifest
from regscope.spec.media_types import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    IMAGE_CONFIGS,
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    is_foreign_layer,
)
from regscope.spec.platform import LINUX_AMD64, Platform
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination, Name, check_names
from regscope.stores.layout_writer import fields_of
from regscope.stores.open_destination import open_destination
from regscope.stores.open_store import as_store
from regscope.stores.stored_content import StoredContent

_PACKED = {"gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}


@dataclass(frozen=True)
class HeldLayer:
    """A layer of an `Image`: its descriptor in the manifest, its diff_id, and its compressed content."""

    descriptor: Descriptor
    diff_id: Digest
    content: Content


@dataclass(frozen=True)
class Image:
    """An image of one platform.

    Attributes:
        manifest: the manifest as a JSON object; its `config` and `layers` are those of the image that was read.
        config: the image config as a JSON object.
        layers: the layers, lowest first.
        original: the manifest as it was read; None once the image was changed.
    """

    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    layers: tuple[HeldLayer, ...]
    original: RawManifest | None = None
    original_config: bytes | None = None

    @classmethod
    def read(cls, source: ContentStore | str, name: str, platform: Platform | str = LINUX_AMD64) -> Image:
        """Read the image `repository:tag` or `repository@digest`; of an index the image for `platform`.

        Raises:
            ContentMissing, ResourceNotFound: there is no such image.
            InvalidInput: the manifest is no image's: an artifact's, or one of schema 1.
        """
        store = as_store(source)
        wanted = Platform.parse(platform) if isinstance(platform, str) else platform
        repository, reference = split_name(name)
        found = image_below(store.manifest(repository, reference), wanted, name, partial(store.manifest, repository))
        manifest = found.parse()
        if not isinstance(manifest, ImageManifest) or manifest.config.mediaType not in IMAGE_CONFIGS:
            raise InvalidInput(f"{name} is no image that can be changed: its type is {manifest.media_type}")
        raw = store.read_blob(repository, manifest.config.digest, METADATA_LIMIT)
        diff_ids = parse_image_config(raw).rootfs.diff_ids
        if len(diff_ids) != len(manifest.layers):
            raise InvalidInput(f"{name} has {len(manifest.layers)} layers, but {len(diff_ids)} diff_ids in its config")
        layers = (
            HeldLayer(layer, diff_id, StoredContent(store, repository, layer))
            for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
        )
        return cls(json.loads(found.raw), json.loads(raw), tuple(layers), found, raw)

    @cached_property
    def media_type(self) -> str:
        """The media type of the manifest."""
        return str(self.manifest.get("mediaType") or OCI_MANIFEST)

    @cached_property
    def image_json(self) -> ImageJSON:
        """The parsed image config."""
        return parse_image_config(self.config_bytes)

    @cached_property
    def raw(self) -> RawManifest:
        """The manifest as it is written; byte for byte as it was read if the image is unchanged."""
        if self.original is not None:
            return self.original
        is_docker = self.media_type == DOCKER_MANIFEST
        config = {
            "mediaType": DOCKER_CONFIG if is_docker else OCI_CONFIG,
            "digest": Digest.of(self.config_bytes),
            "size": len(self.config_bytes),
        }
        layers = [fields_of(layer.descriptor) for layer in self.layers]
        raw = compact({**self.manifest, "config": config, "layers": layers})
        return RawManifest(raw, Digest.of(raw), self.media_type)

    @property
    def digest(self) -> Digest:
        """The digest of the manifest as it is written."""
        return self.raw.digest

    @cached_property
    def config_bytes(self) -> bytes:
        """The bytes of the config as they are written."""
        return self.original_config if self.original_config is not None else compact(self.config)

    def _changed(self, **fields: Any) -> Image:
        kept_config = None if {"config", "layers"} & fields.keys() else self.original_config
        return replace(self, **fields, original=None, original_config=kept_config)

    def with_layers(self, layers: Sequence[HeldLayer], history: Sequence[Mapping[str, Any]]) -> Image:
        """The image with other layers, lowest first, and the history that matches them."""
        rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
        document = {**self.config, "rootfs": rootfs}
        if history or "history" in document:
            document["history"] = list(history)
        return self._changed(config=document, layers=tuple(layers))

    def with_blobs(self, layers: Sequence[HeldLayer]) -> Image:
        """The image with the same tars in other blobs; its config stays byte for byte."""
        return replace(self, layers=tuple(layers), original=None)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The steps of the config's history, oldest first."""
        return list(self.config.get("history") or ())

    def append(self, *tars: Path | str, created_by: str = "regscope append") -> Image:
        """The image with a layer on top for each tar file; an uncompressed tar is compressed with gzip.

        Raises:
            InvalidInput: a file is no tar, or its compression is damaged.
            OSError: a file cannot be read.
        """
        layers = [_layer_of(Path(tar), self.media_type) for tar in tars]
        steps = [{"created_by": created_by} for _ in layers] if self.tells_all else []
        return self.with_layers([*self.layers, *layers], [*self.history, *steps])

    @property
    def tells_all(self) -> bool:
        """Whether the history has a step for each layer, as other tools require."""
        return sum(not step.get("empty_layer") for step in self.history) == len(self.layers)

    def mutate(
        self,
        *,
        env: Mapping[str, str | None] | None = None,
        labels: Mapping[str, str | None] | None = None,
        entrypoint: Sequence[str] | None = None,
        cmd: Sequence[str] | None = None,
        user: str | None = None,
        working_dir: str | None = None,
        annotations: Mapping[str, str | None] | None = None,
    ) -> Image:
        """The image with these fields of its config set; None in `env`, `labels` or `annotations` removes a name."""
        config = dict(self.config.get("config") or {})
        if env:
            config["Env"] = _with_env(config.get("Env") or (), env)
        if labels:
            config["Labels"] = _updated(config.get("Labels") or {}, labels)
        given = {"Entrypoint": entrypoint, "Cmd": cmd, "User": user, "WorkingDir": working_dir}
        for name, value in given.items():
            if value is not None:
                config[name] = value if isinstance(value, str) else list(value)
        image = (
            self
            if config == (self.config.get("config") or {})
            else self._changed(config={**self.config, "config": config})
        )
        if annotations:
            updated = _updated(self.manifest.get("annotations") or {}, annotations)
            image = image._changed(manifest={**self.manifest, "annotations": updated})
        return image

    def rebase(self, old_base: Image, new_base: Image) -> Image:
        """The image with the layers of `new_base` in place of those of `old_base`; its run settings stay the same.

        Raises:
            InvalidInput: the image is not built on `old_base`, or the bases are for different platforms.
        """
        below = [layer.diff_id for layer in old_base.layers]
        if [layer.diff_id for layer in self.layers[: len(below)]] != below:
            raise InvalidInput("the image is not built on the old base: its lowest layers differ")
        platforms = {(image.image_json.os, image.image_json.architecture) for image in (self, old_base, new_base)}
        if len(platforms) > 1:
            raise InvalidInput("the image and its bases are for different platforms")
        moved = [_in(layer, self.media_type) for layer in new_base.layers]
        own = self.history[len(old_base.history) :]
        return self.with_layers([*moved, *self.layers[len(below) :]], [*new_base.history, *own])

    def flatten(self) -> Image:
        """The image with one layer that has the final file system; the old steps of the history become empty layers.

        Raises:
            InvalidInput: a layer is not stored with the image, or is no tar.
        """
        layer = _held(Scratch(flattened([self._unpacked(layer) for layer in self.layers])), "gzip", self.media_type)
        steps = [{**step, "empty_layer": True} for step in self.history]
        return self.with_layers([layer], [*steps, {"created_by": "regscope flatten"}])

    def recompress(self, compression: Compression, level: int | None = None) -> Image:
        """The image with all layers compressed in this way; layers that have this compression are not changed.

        Args:
            level: of the compression, 0 to 9 for gzip, 1 to 22 for zstd; 6 and 3 by default.

        Raises:
            InvalidInput: the manifest is Docker's, which has no media type for zstd (use `to_oci` first), or a layer
                is damaged.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            layers = tuple(pool.map(lambda layer: self._recompressed(layer, compression, level), self.layers))
        return self if layers == self.layers else self.with_blobs(layers)

    def _recompressed(self, layer: HeldLayer, compression: Compression, level: int | None) -> HeldLayer:
        kind = layer_type(_PACKED[compression], self.media_type)
        if layer.descriptor.mediaType == kind or is_foreign_layer(layer.descriptor.mediaType):
            return layer
        scratch = Scratch(self._unpacked(layer)(), compression, level)
        return replace(layer, descriptor=scratch.descriptor(kind), content=scratch)

    def _unpacked(self, layer: HeldLayer) -> Callable[[], Iterator[bytes]]:
        """A function that starts reading the layer's tar; the read fails if the tar's digest is not the diff_id."""
        if is_foreign_layer(layer.descriptor.mediaType):
            raise InvalidInput(f"the layer {layer.descriptor.digest} is not stored with its image")

        def begin() -> Iterator[bytes]:
            passing = Passing(layer.diff_id.algorithm)
            yield from passing.through(uncompressed(layer.content.pieces()))
            if passing.digest != layer.diff_id:
                raise mismatch(layer.diff_id, passing.digest, "an unpacked layer")

        return begin

    def to_oci(self) -> Image:
        """The image with an OCI manifest."""
        return self._as(OCI_MANIFEST)

    def to_docker(self) -> Image:
        """The image with a Docker manifest of schema 2.

        Raises:
            InvalidInput: Docker has no media type for a layer's compression (use `recompress` first).
        """
        return self._as(DOCKER_MANIFEST)

    def _as(self, media_type: str) -> Image:
        if self.media_type == media_type:
            return self
        layers = tuple(_in(layer, media_type) for layer in self.layers)
        return self._changed(manifest={**self.manifest, "mediaType": media_type}, layers=layers)

    def write(self, target: ContentStore | str, name: str, *, overwrite: bool = False) -> Digest:
        """Write the image as `repository:tag`; blobs that the target has are not sent. Returns the manifest's digest.

        Args:
            target: a store, or a location as for `regscope.copy`.
            overwrite: move the tag if it points to another manifest.

        Raises:
            InvalidInput: the tag points to another manifest; nothing was written.
            RegscopeError: the target cannot be written.
        """
        return self.write_to(open_destination(target), name, overwrite=overwrite)

    def write_to(
        self, place: Destination, name: str, *, overwrite: bool = False, at_once: int = CHANGES_AT_ONCE
    ) -> Digest:
        """As `write`, to a destination that is open already; `at_once` layers are sent at the same time."""
        repository, reference = split_name(name)
        place.check(repository, reference, self.raw)
        check_names(place, [Name(repository, reference, self.digest)], overwrite)
        self.send_blobs(place, repository, at_once)
        place.take_manifest(repository, reference, self.raw)
        place.close()
        return self.digest

    def send_blobs(self, place: Destination, repository: str, at_once: int = CHANGES_AT_ONCE) -> None:
        """Write the config and the layers; blobs that the destination has are not sent."""

        def send(layer: HeldLayer) -> None:
            if not is_foreign_layer(layer.descriptor.mediaType):
                nearby = _repository_at(layer.content, place.location)
                digest = layer.descriptor.digest
                place.take_blob(repository, digest, layer.content, None if nearby == repository else nearby)

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(send, {layer.descriptor.digest: layer for layer in self.layers}.values()))
        place.take_blob(repository, Digest.of(self.config_bytes), LocalContent.of(self.config_bytes), None)

    def __repr__(self) -> str:
        return text.facts("Image", self.facts())

    def _repr_html_(self) -> str:
        return text.card("Image", self.facts())

    def facts(self) -> dict[str, str]:
        """Digest, platform and layers, by their labels."""
        config = self.image_json
        return {
            "digest": self.digest,
            "platform": "/".join(filter(None, [config.os, config.architecture, config.variant])),
            "layers": f"{len(self.layers):,}, {text.size(sum(layer.descriptor.size for layer in self.layers))}",
        }


def _repository_at(content: Content, location: str) -> str | None:
    if isinstance(content, StoredContent) and content.store.location == location:
        return content.repository
    return None


def _in(layer: HeldLayer, manifest: str) -> HeldLayer:
    """The layer with the media type that it has in a manifest of this type."""
    kind = layer_type(layer.descriptor.mediaType, manifest)
    return replace(layer, descriptor=layer.descriptor.model_copy(update={"mediaType": kind}))


def _layer_of(path: Path, manifest: str) -> HeldLayer:
    content = LocalContent(path, None)
    check_tar(content.pieces(), str(path))
    with path.open("rb") as file:
        start = file.read(4)
    if not start.startswith((GZIP, ZSTD)):
        return _held(Scratch(content.pieces()), "gzip", manifest)
    kind = layer_type(OCI_LAYER_ZSTD if start.startswith(ZSTD) else OCI_LAYER_GZIP, manifest)
    passing = Passing()
    diff_id = diff_id_of(passing.through(content.pieces()))
    return HeldLayer(Descriptor(mediaType=kind, digest=passing.digest, size=passing.size), diff_id, content)


def _held(scratch: Scratch, compression: Compression, manifest: str) -> HeldLayer:
    kind = layer_type(_PACKED[compression], manifest)
    return HeldLayer(scratch.descriptor(kind), scratch.diff_id, scratch)


def _with_env(env: Iterable[str], changes: Mapping[str, str | None]) -> list[str]:
    known = dict(entry.partition("=")[::2] for entry in env)
    return [f"{name}={value}" for name, value in _updated(known, changes).items()]


def _updated(known: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**known, **changes}.items() if value is not None}
