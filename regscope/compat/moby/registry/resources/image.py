"""An image as a list of layers and a config, both of which can be changed before the image is pushed or saved."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from regscope.errors import InvalidInput
from regscope.images.image import HeldLayer, Image
from regscope.images.image_names import named
from regscope.images.layer_types import layer_type
from regscope.layers.compression import diff_id_of
from regscope.registry.blobs import Blob
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.default_client import default_client
from regscope.registry.local_content import LocalContent, written_whole
from regscope.registry.request_body import Content
from regscope.spec.descriptor import Descriptor, DockerLayerDescriptor
from regscope.spec.digest import Digest, Passing, mismatch
from regscope.spec.image_config import History, ImageJSON, parse_image_config
from regscope.spec.manifest import ImageManifest, ManifestSchema2
from regscope.spec.media_types import DOCKER_LAYER, DOCKER_LAYER_TAR, DOCKER_MANIFEST, OCI_MANIFEST
from regscope.spec.platform import LINUX_AMD64, Platform
from regscope.spec.reference import Reference, check_repository
from regscope.stores.archive_destination import ArchiveDestination
from regscope.stores.docker_archive import DockerArchiveStore
from regscope.stores.registry_destination import RegistryDestination
from regscope.stores.registry_store import RegistryStore
from regscope.stores.stored_content import StoredContent

__all__ = ["ImageRef", "LayerRef", "ManifestSchema2"]


class LayerRef(BaseModel):
    """A layer: in a repository (`exists`), or in a file (`local_path`), a tar that may be gzip-compressed.

    `size` is in bytes; -1 where it is not known and is to be measured.
    """

    repo: str = ""
    digest: str = ""
    size: int = -1
    exists: bool = False
    local_path: Path | None = None
    media_type: str = DOCKER_LAYER


class ImageRef:
    """An image to be saved or pushed as `repo`:`reference`.

    `layers` and `image_json` can be changed; their state at that time is pushed. Built on `regscope.Image`.

    Args:
        repo, reference: the repository and the tag of the new image.
        layers: the layers, lowest first.
        initial_config: the image config (JSON).
        client: the client of the registry.
    """

    def __init__(
        self,
        repo: str,
        reference: str,
        layers: Sequence[LayerRef],
        initial_config: str,
        client: DockerRegistryV2Client | None = None,
        *,
        timeout: AskTimeout = "default",
    ) -> None:
        self.repo = check_repository(repo)
        self.reference = reference
        self.layers = list(layers)
        self.client = client or default_client
        self.timeout = timeout
        self._config = parse_image_config(initial_config.encode())
        self._told = list(self._config.rootfs.diff_ids)  # the diff_ids that `_config` was last made for
        self._original: Image | None = None
        self._held: dict[str, HeldLayer] = {}
        self._diff_ids: dict[str, Digest] = {}
        if len(self._told) == len(self.layers):
            self._diff_ids = {layer.digest: diff_id for layer, diff_id in zip(self.layers, self._told, strict=True)}
        self._steps: dict[Digest, History] = {}

    @classmethod
    def from_image(
        cls,
        from_repo: str,
        from_reference: str,
        to_repo: str | None = None,
        to_reference: str | None = None,
        client: DockerRegistryV2Client | None = None,
        *,
        platform: Platform | str = LINUX_AMD64,
    ) -> ImageRef:
        """An image of the registry; from an index the one for `platform`. By default it keeps its repository and tag.

        Raises:
            InvalidInput: the image is of schema 1, which has no config, or an artifact.
        """
        client = client or default_client
        image = Image.read(RegistryStore(client), named(from_repo, from_reference), platform)
        layers = [
            LayerRef(
                repo=from_repo,
                digest=layer.descriptor.digest,
                size=layer.descriptor.size,
                exists=True,
                media_type=layer.descriptor.mediaType,
            )
            for layer in image.layers
        ]
        return cls._of(image, to_repo or from_repo, to_reference or from_reference, layers, client)

    @classmethod
    def from_tarball(
        cls,
        workplace: Path,
        src: Path,
        to_repo: str | None = None,
        to_reference: str | None = None,
        client: DockerRegistryV2Client | None = None,
    ) -> ImageRef:
        """The first image of a docker-archive (`docker save`), its layers compressed into files in `workplace`.

        Raises:
            InvalidInput: no name was given, and the archive has no name for the image.
            NotAStore, StoreError, ContentError: the archive cannot be read.
        """
        archive = DockerArchiveStore(src)
        digest, names = archive.images[0]
        if not names and not (to_repo and to_reference):
            raise InvalidInput(f"the image in {src} has no name", next_step="Pass to_repo and to_reference to name it.")
        found = Reference.parse(names[0]) if names else None
        repo = to_repo or (found.repository if found else "")
        image = Image.read(archive, named(repo, digest)).recompress("gzip")
        layers = []
        for layer in image.layers:
            file = Path(workplace) / f"{layer.descriptor.digest.encoded}.tar.gz"
            with written_whole(file) as written:
                written.writelines(layer.content.pieces())
            size, kind = layer.descriptor.size, layer.descriptor.mediaType
            layers.append(
                LayerRef(repo=repo, digest=layer.descriptor.digest, size=size, local_path=file, media_type=kind)
            )
        return cls._of(image, repo, to_reference or (found and found.tag) or "latest", layers, client)

    @classmethod
    def _of(
        cls, image: Image, repo: str, reference: str, layers: list[LayerRef], client: DockerRegistryV2Client | None
    ) -> ImageRef:
        made = cls(repo, reference, layers, image.config_bytes.decode(), client)
        made._original = image
        made._held = {layer.descriptor.digest: layer for layer in image.layers}
        return made

    def add_layer(self, layer: LayerRef, history: History | None = None) -> DockerLayerDescriptor:
        """Add a layer on top; it is read to find its digest, size and diff_id.

        Raises:
            InvalidInput: the layer has neither a repository nor a file, or its size differs from `layer.size`.
            DigestMismatch: its digest differs from `layer.digest`.
        """
        held = self._measured(layer)
        if history is not None:
            self._steps[held.diff_id] = history
        self.layers.append(layer)
        return DockerLayerDescriptor(mediaType=layer.media_type, digest=held.descriptor.digest, size=layer.size)

    @property
    def image_json(self) -> ImageJSON:
        """The image config; its diff_ids and history are updated if `layers` was changed.

        Raises:
            InvalidInput, DigestMismatch: as in `add_layer`, for a layer that was put into `layers`.
        """
        diff_ids = [self._layer(layer).diff_id for layer in self.layers]
        if diff_ids != self._told:
            self._config.history = self._history(diff_ids)
            self._config.rootfs.diff_ids = diff_ids
            self._told = diff_ids
        return self._config

    @property
    def image_json_str(self) -> str:
        """The image config as it is pushed; without changes, exactly as it was read."""
        return self.image_json.raw.decode()

    def image(self) -> Image:
        """The image that is pushed or saved; without changes, byte for byte the one that was read."""
        raw = self.image_json.raw
        layers = tuple(self._layer(layer) for layer in self.layers)
        original = self._original
        if original is not None and raw == original.config_bytes and layers == original.layers:
            return original
        manifest = original.manifest if original is not None else {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST}
        return Image(manifest, json.loads(raw), layers, None, raw)

    def push(self, media_type: str | None = None, *, max_worker: int = 5) -> ImageManifest:
        """Push layers (mounted where the registry already has them), config and manifest.

        Args:
            media_type: `ManifestSchema2.content_type()` or `OCIManifestSchema1.content_type()`; by default that of the
                original image, whose manifest is pushed byte for byte if nothing was changed.
            max_worker: the layers that are pushed at once.

        Raises:
            InvalidInput: `media_type` is another one, or has no media type for one of the layers.
        """
        image = self.image()
        wanted = media_type or image.media_type
        if wanted not in (DOCKER_MANIFEST, OCI_MANIFEST):
            raise InvalidInput(f"an image can be pushed as {DOCKER_MANIFEST} or {OCI_MANIFEST}, not as {wanted}")
        image = image.to_docker() if wanted == DOCKER_MANIFEST else image.to_oci()
        client = self.client
        if self.timeout != "default":
            client = copy(client)
            client.default_timeout = self.timeout
        image.write_to(RegistryDestination(client), named(self.repo, self.reference), at_once=max_worker)
        manifest: Any = image.raw.parse()
        return manifest  # type: ignore[no-any-return]  # always an image manifest

    def push_v2(self, *, max_worker: int = 5) -> ImageManifest:
        """Push the image as a Docker image of schema 2; see `push`."""
        return self.push(DOCKER_MANIFEST, max_worker=max_worker)

    def save(self, dest: Path | str) -> Path | str:
        """Write the image as a docker-archive, which `docker load` reads; returns `dest`."""
        self.image().write_to(ArchiveDestination(dest), named(self.repo, self.reference))
        return dest

    def _layer(self, layer: LayerRef) -> HeldLayer:
        if layer.digest not in self._held:
            diff_id = self._diff_ids.get(layer.digest)
            if diff_id is None or layer.size < 0:
                return self._measured(layer)
            self._held[layer.digest] = self._described(layer, Digest(layer.digest), diff_id)
        return self._held[layer.digest]

    def _measured(self, layer: LayerRef) -> HeldLayer:
        """The layer, after reading all of it; digest, size and media type are set on `layer`."""
        if layer.local_path is None and not layer.exists:
            raise InvalidInput("a layer must be in a repository (exists=True) or in a file (local_path)")
        passing = Passing()
        if layer.local_path is not None:
            content = LocalContent(layer.local_path, None).pieces()
        else:
            content = Blob(layer.repo or self.repo, layer.digest, client=self.client, timeout=self.timeout).chunks()
        diff_id = diff_id_of(passing.through(content))
        if layer.digest and layer.digest != passing.digest:
            raise mismatch(layer.digest, passing.digest, "the layer to add")
        if layer.size not in (-1, passing.size):
            raise InvalidInput(f"the layer to add has {passing.size:,} bytes, but its LayerRef states {layer.size:,}")
        layer.digest, layer.size = passing.digest, passing.size
        if layer.local_path is not None:
            layer.repo = self.repo
            layer.media_type = DOCKER_LAYER_TAR if diff_id == passing.digest else DOCKER_LAYER
        return self._held.setdefault(layer.digest, self._described(layer, passing.digest, diff_id))

    def _described(self, layer: LayerRef, digest: Digest, diff_id: Digest) -> HeldLayer:
        family = self._original.media_type if self._original is not None else DOCKER_MANIFEST
        descriptor = Descriptor(mediaType=layer_type(layer.media_type, family), digest=digest, size=layer.size)
        content: Content
        if layer.local_path is not None:
            content = LocalContent(layer.local_path, None)
        else:
            content = StoredContent(RegistryStore(self.client), layer.repo or self.repo, descriptor)
        return HeldLayer(descriptor, diff_id, content)

    def _history(self, diff_ids: Sequence[Digest]) -> list[History]:
        """The history for these layers: the step of each, followed by the steps without a layer that came after it."""
        steps = self._config.history
        if sum(not step.empty_layer for step in steps) != len(self._told):
            return steps  # they cannot be matched to the layers
        own, behind = defaultdict[Digest, list[History]](list), defaultdict[Digest | None, list[History]](list)
        layers, below = iter(self._told), None
        for step in steps:
            if step.empty_layer:
                behind[below].append(step)
            else:
                diff_id = next(layers)
                own[diff_id].append(step)
                below = diff_id if diff_id in diff_ids else below
        history = behind.pop(None, [])
        for diff_id in diff_ids:
            if not own[diff_id]:
                own[diff_id].append(self._steps.get(diff_id) or History(created_by="regscope: add layer"))
            history += [own[diff_id].pop(0), *behind.pop(diff_id, [])]
        return history
