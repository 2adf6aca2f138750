"""A docker-archive, to copy images to: a tar that `docker load`, `podman load` and skopeo read.

It is written in its new form, which is an OCI image layout beside docker's own `manifest.json`: so that the images keep
their manifests, and with them their digests.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

from regscope.errors import InvalidInput
from regscope.registry.manifests import RawManifest
from regscope.registry.outgoing import Content
from regscope.spec.digest import Digest
from regscope.spec.manifest import ImageManifest, Manifest
from regscope.spec.media_types import IMAGE_CONFIGS, is_foreign_layer
from regscope.stores.destination import Taken
from regscope.stores.layout_destination import LayoutDestination
from regscope.stores.oci_layout import OCILayoutStore


class ArchiveDestination:
    """Images go into a folder beside the file first, and into the file when it is closed.

    A file that is there is replaced. What an earlier run has left in the folder is not fetched again.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._folder = self.path.with_name(f"{self.path.name}.unfinished")
        self._layout = LayoutDestination(self._folder)
        (self._folder / "index.json").unlink(missing_ok=True)  # which names what an earlier run wanted
        self._images: dict[Digest, dict[str, Any]] = {}

    @property
    def location(self) -> str:
        """`docker-archive:` and the file."""
        return f"docker-archive:{self.path}"

    def check(self, repository: str, reference: str, manifest: RawManifest) -> None:
        """Images have whose layers are stored with them."""
        image = manifest.parse()
        if not _fits(image):
            raise InvalidInput(
                f"{repository} {reference} is {image.media_type}, and a docker-archive holds images alone",
                next_step="Choose one platform of an index, or copy it into an OCI layout.",
            )

    def has_manifest(self, repository: str, digest: Digest) -> bool:
        """Never: each is noted anew."""
        return False

    def take_blob(self, repository: str, digest: Digest, content: Content, nearby: str | None) -> Taken:
        """Written to the folder."""
        return self._layout.take_blob(repository, digest, content, nearby)

    def take_manifest(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """Written to the folder, and noted for `manifest.json`."""
        self._layout.take_manifest(repository, reference or manifest.digest, manifest)
        names = self._images.setdefault(manifest.digest, _listed(manifest.parse()))["RepoTags"]
        name = f"{repository}:{reference}"
        if reference is not None and ":" not in reference and name not in names:
            names.append(name)

    def take_back(self, repository: str, reference: str | None, manifest: RawManifest) -> None:
        """As `take_manifest`: there are no lists of referrers."""
        self.take_manifest(repository, reference, manifest)

    def close(self) -> None:
        """Write the file."""
        self._layout.close()
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            (self._folder / "manifest.json").write_bytes(json.dumps(list(self._images.values())).encode())
            with tarfile.open(part, "w") as archive:
                for name in ("manifest.json", "oci-layout", "index.json", *self._blobs()):
                    archive.add(self._folder / name, name, filter=_without_owner)
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        shutil.rmtree(self._folder)

    def _blobs(self) -> list[str]:
        """The files that the images need; an earlier run may have left others."""
        layout = OCILayoutStore(self._folder)
        needed = {f"blobs/{digest.replace(':', '/')}" for digest in self._images}
        for digest in self._images:
            manifest = layout.manifest("", digest).parse()
            assert isinstance(manifest, ImageManifest)  # as `take_manifest` makes sure
            needed |= {f"blobs/{blob.digest.replace(':', '/')}" for blob in (manifest.config, *manifest.layers)}
        return sorted(needed)


def _fits(manifest: Manifest) -> bool:
    return (
        isinstance(manifest, ImageManifest)
        and manifest.config.mediaType in IMAGE_CONFIGS
        and not any(is_foreign_layer(layer.mediaType) for layer in manifest.layers)
    )


def _listed(image: Manifest) -> dict[str, Any]:
    assert isinstance(image, ImageManifest)
    config, *layers = (f"blobs/{blob.digest.replace(':', '/')}" for blob in (image.config, *image.layers))
    return {"Config": config, "RepoTags": [], "Layers": layers}


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry
