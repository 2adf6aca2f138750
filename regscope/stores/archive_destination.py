"""A docker-archive as a destination of copies: a tar that `docker load`, `podman load` and skopeo read.

It is written in the new form, an OCI image layout with docker's own `manifest.json`, so that images keep their
manifests and their digests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regscope.errors import InvalidInput
from regscope.registry.manifests import RawManifest
from regscope.spec.digest import Digest
from regscope.spec.json_forms import one_line
from regscope.spec.manifest import ImageManifest, Manifest
from regscope.spec.media_types import is_foreign_layer
from regscope.stores.docker_archive import short_name
from regscope.stores.kinds import DOCKER_ARCHIVE, LAYOUT, OCI_ARCHIVE, listed
from regscope.stores.layout_store import blob_path
from regscope.stores.oci_archive_destination import OCIArchiveDestination
from regscope.text import plain


class ArchiveDestination(OCIArchiveDestination):
    """Written like an oci-archive, with `manifest.json` before the layout; it can have only images."""

    kind = DOCKER_ARCHIVE

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self._images: dict[Digest, dict[str, Any]] = {}

    def check(self, repository: str, reference: str, manifest: RawManifest) -> None:
        """Raises for indexes, artifacts, and images with foreign layers: a docker-archive has no place for them."""
        image = manifest.parse()
        if not _fits(image):
            kind = image.artifact_type
            what = f"an artifact, {plain(kind, 100)}" if kind else image.media_type
            raise InvalidInput(
                f"{repository} {reference} is {what}, and a docker-archive can have only images",
                next_step=("" if kind else "Choose one platform, or: ")
                + f"Copy it to {listed([OCI_ARCHIVE, LAYOUT])}.",
            )

    def as_read(self, repository: str) -> str:
        """The name as docker prints it."""
        return short_name(repository)

    def take_manifest(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """Writes the manifest to the folder, and records it for `manifest.json`."""
        super().take_manifest(repository, reference or manifest.digest, manifest)
        names = self._images.setdefault(manifest.digest, _listed(manifest.parse()))["RepoTags"]
        name = f"{repository}:{reference}"
        if reference is not None and ":" not in reference and name not in names:
            names.append(name)

    def _first_files(self) -> list[str]:
        for image in self._images.values():
            image["RepoTags"].sort()
        listed = sorted(self._images.values(), key=lambda image: (image["RepoTags"], image["Config"], image["Layers"]))
        (self._folder / "manifest.json").write_bytes(one_line(listed).encode())
        return ["manifest.json"]


def _fits(manifest: Manifest) -> bool:
    return (
        isinstance(manifest, ImageManifest)
        and manifest.artifact_type is None
        and not any(is_foreign_layer(layer.mediaType) for layer in manifest.layers)
    )


def _listed(image: Manifest) -> dict[str, Any]:
    assert isinstance(image, ImageManifest)
    config, *layers = (blob_path(blob.digest) for blob in image.blobs)
    return {"Config": config, "RepoTags": [], "Layers": layers}
