"""An image that is taken from a registry or a tarball, given another name or more layers, and saved or pushed."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from regscope.errors import InvalidInput
from regscope.images.layer_types import layer_type
from regscope.layers.compression import compressed, diff_id_of, uncompressed
from regscope.registry.blobs import Blob
from regscope.registry.client import AskTimeout, DockerRegistryV2Client
from regscope.registry.default_client import default_client
from regscope.registry.local_content import LocalContent, written_whole
from regscope.registry.manifests import ManifestRef
from regscope.registry.responses import METADATA_LIMIT
from regscope.spec.descriptor import DockerLayerDescriptor
from regscope.spec.digest import Digest, Passing, mismatch
from regscope.spec.image_config import History, ImageJSON, parse_image_config
from regscope.spec.manifest import ImageManifest, ManifestSchema2, OCIManifestSchema1
from regscope.spec.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LAYER_TAR,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_MANIFEST,
)
from regscope.spec.platform import LINUX_AMD64, Platform
from regscope.spec.reference import Reference, check_repository
from regscope.stores.docker_archive import DockerArchiveStore

_ADDED = History(created_by="regscope: add layer")


class LayerRef(BaseModel):
    """A layer: in a repository (`exists`), or in a file (`local_path`), a tar that may be gzip-compressed.

    `size` is in bytes; -1 where it is to be found out.
    """

    repo: str = ""
    digest: str = ""
    size: int = -1
    exists: bool = False
    local_path: Path | None = None
    media_type: str = DOCKER_LAYER


class ImageRef:
    """An image to be saved or pushed as `repo`:`reference`.

    Args:
        repo, reference: the name that it gets.
        layers: lowest first.
        initial_config: the image config (JSON) without the layers that are added later.
        client: of the registry.
        manifest: what it was read from; pushed as it is where nothing was changed.
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
        manifest: ImageManifest | None = None,
    ) -> None:
        self.repo = check_repository(repo)
        self.reference = reference
        self.layers = list(layers)
        self.client = client or default_client
        self.timeout = timeout
        self._initial_config = initial_config
        self._manifest = manifest
        self._added: list[tuple[Digest, History]] = []

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
        """An image of the registry, through an index the one for `platform`; named as it is where nothing else is said.

        Raises:
            InvalidInput: it is of schema 1, which names no config.
        """
        client = client or default_client
        manifest = ManifestRef(from_repo, from_reference, client).get(platform=platform)
        if not isinstance(manifest, ImageManifest):
            raise InvalidInput(f"{from_repo}:{from_reference} is {manifest.media_type}, which cannot be built upon")
        config = Blob(from_repo, manifest.config.digest, client=client).read(METADATA_LIMIT)
        layers = [
            LayerRef(repo=from_repo, digest=layer.digest, size=layer.size, exists=True, media_type=layer.mediaType)
            for layer in manifest.layers
        ]
        return cls(
            to_repo or from_repo,
            to_reference or from_reference,
            layers,
            config.decode(),
            client,
            manifest=manifest,
        )

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
            InvalidInput: no name was given, and the archive has none.
            NotAStore, StoreError, ContentError: the archive cannot be read.
        """
        archive = DockerArchiveStore(src)
        digest, names = archive.images[0]
        if not names and not (to_repo and to_reference):
            raise InvalidInput(f"{src} names no image: give to_repo and to_reference")
        named = Reference.parse(names[0]) if names else None
        repo = to_repo or (named.repository if named else "")
        manifest = archive.manifest("", digest).parse()
        assert isinstance(manifest, ImageManifest)  # as the archive makes them
        layers = []
        for layer in manifest.layers:
            file = Path(workplace) / f"{layer.digest.encoded}.tar.gz"
            packed = Passing()
            with file.open("wb") as written:
                written.writelines(packed.through(compressed(uncompressed(archive.blob("", layer.digest)))))
            layers.append(LayerRef(repo=repo, digest=packed.digest, size=packed.size, local_path=file))
        config = archive.read_blob("", manifest.config.digest, METADATA_LIMIT)
        return cls(repo, to_reference or (named and named.tag) or "latest", layers, config.decode(), client)

    def add_layer(self, layer: LayerRef, history: History | None = None) -> DockerLayerDescriptor:
        """Put a layer on top; what is not said of it is found out by reading it.

        Raises:
            InvalidInput: it is neither in a repository nor in a file, or its size is not what was said.
            DigestMismatch: its digest is not what was said.
        """
        if layer.local_path is None and not layer.exists:
            raise InvalidInput("a layer is added from a repository (exists=True) or from a file (local_path)")
        measured = Passing()
        diff_id = diff_id_of(measured.through(self._content(layer)))
        if layer.digest and layer.digest != measured.digest:
            raise mismatch(layer.digest, measured.digest, "the layer to add")
        if layer.size not in (-1, measured.size):
            raise InvalidInput(f"the layer to add has {measured.size:,} bytes, and was said to have {layer.size:,}")
        layer.digest, layer.size = measured.digest, measured.size
        if layer.local_path is not None:
            layer.repo = self.repo
            layer.media_type = DOCKER_LAYER_TAR if diff_id == measured.digest else DOCKER_LAYER
        self._added.append((diff_id, history or _ADDED))
        self.layers.append(layer)
        return DockerLayerDescriptor(mediaType=layer.media_type, digest=Digest(layer.digest), size=layer.size)

    @property
    def image_json(self) -> ImageJSON:
        """The image config, with the layers that were added."""
        return parse_image_config(self.image_json_str.encode())

    @property
    def image_json_str(self) -> str:
        """The image config as it is pushed; as it was read where nothing was added."""
        if not self._added:
            return self._initial_config
        document = json.loads(self._initial_config)
        rootfs = document.setdefault("rootfs", {"type": "layers"})
        rootfs["diff_ids"] = [*(rootfs.get("diff_ids") or ()), *(diff_id for diff_id, _ in self._added)]
        steps = [step.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for _, step in self._added]
        document["history"] = [*(document.get("history") or ()), *steps]
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    def push(self, media_type: str | None = None, *, max_worker: int = 5) -> ImageManifest:
        """Push layers (mounted where they are in the registry), config and manifest.

        Args:
            media_type: `ManifestSchema2.content_type()` or `OCIManifestSchema1.content_type()`; by default that of the
                image it was made from, whose manifest is pushed byte for byte where nothing was changed.
            max_worker: layers at once.

        Raises:
            InvalidInput: another media type, or a layer that it has no name for.
        """
        wanted = media_type or (self._manifest.media_type if self._manifest else DOCKER_MANIFEST)
        if wanted not in (DOCKER_MANIFEST, OCI_MANIFEST):
            raise InvalidInput(f"an image is pushed as {DOCKER_MANIFEST} or {OCI_MANIFEST}, not as {wanted}")
        types = [layer_type(layer.media_type, wanted) for layer in self.layers]
        with ThreadPoolExecutor(max_worker) as pool:
            list(pool.map(self._push_layer, self.layers))
        raw = self.image_json_str.encode()
        Blob(self.repo, Digest.of(raw), fileobj=io.BytesIO(raw), client=self.client, timeout=self.timeout).upload()
        manifest = self._built(wanted, types, raw)
        ManifestRef(self.repo, self.reference, self.client, timeout=self.timeout).put(manifest)
        return manifest

    def push_v2(self, *, max_worker: int = 5) -> ImageManifest:
        """Push it as a Docker image of schema 2."""
        return self.push(DOCKER_MANIFEST, max_worker=max_worker)

    def save(self, dest: str) -> str:
        """Write a docker-archive, as `docker load` reads it (docker image spec v1.2); returns `dest`."""
        config = self.image_json_str.encode()
        listed: dict[str, Any] = {
            "Config": f"{Digest.of(config).encoded}.json",
            "RepoTags": [f"{self.repo}:{self.reference}"],
            "Layers": [],
        }
        with written_whole(Path(dest)) as file, tarfile.open(fileobj=file, mode="w") as archive:
            _add(archive, listed["Config"], io.BytesIO(config), len(config))
            for layer in self.layers:
                listed["Layers"].append(self._save_layer(archive, layer))
            manifest = json.dumps([listed], separators=(",", ":")).encode()
            _add(archive, "manifest.json", io.BytesIO(manifest), len(manifest))
        return dest

    def _save_layer(self, archive: tarfile.TarFile, layer: LayerRef) -> str:
        with tempfile.TemporaryFile() as unpacked:
            measured = Passing()
            for piece in measured.through(uncompressed(self._content(layer))):
                unpacked.write(piece)
            unpacked.seek(0)
            name = f"{measured.digest.encoded}/layer.tar"
            _add(archive, name, unpacked, measured.size)
        return name

    def _content(self, layer: LayerRef) -> Iterator[bytes]:
        if layer.local_path is not None:
            return LocalContent(layer.local_path, None).pieces()
        return Blob(layer.repo or self.repo, layer.digest, client=self.client, timeout=self.timeout).chunks()

    def _push_layer(self, layer: LayerRef) -> None:
        if layer.local_path is not None and not layer.exists:
            Blob(self.repo, layer.digest or None, layer.local_path, client=self.client, timeout=self.timeout).upload()
        elif layer.repo != self.repo:
            Blob(self.repo, layer.digest, client=self.client, timeout=self.timeout).mount_from(layer.repo)

    def _built(self, media_type: str, types: Sequence[str], config: bytes) -> ImageManifest:
        if self._manifest is not None and not self._added and media_type == self._manifest.media_type:
            return self._manifest
        is_docker = media_type == DOCKER_MANIFEST
        model = ManifestSchema2 if is_docker else OCIManifestSchema1
        config_type = DOCKER_CONFIG if is_docker else OCI_CONFIG
        layers = [
            {"mediaType": kind, "size": layer.size, "digest": layer.digest}
            for kind, layer in zip(types, self.layers, strict=True)
        ]
        return model.model_validate(
            {
                "config": {"mediaType": config_type, "size": len(config), "digest": Digest.of(config)},
                "layers": layers,
            }
        )


def _add(archive: tarfile.TarFile, name: str, content: Any, size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    archive.addfile(entry, content)
