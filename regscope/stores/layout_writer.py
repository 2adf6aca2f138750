"""Writing an OCI image layout (OCI image-spec, image-layout.md)."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from regscope.spec import media_types
from regscope.spec.annotations import REF_NAME
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.json_forms import compact

EMPTY_JSON = b"{}"


class Layer(NamedTuple):
    """A layer to put into an image: its descriptor, the digest of its uncompressed tar, and the step that made it."""

    descriptor: Descriptor
    diff_id: Digest
    created_by: str


class LayoutWriter:
    """Writes blobs at once, and `index.json` when it is closed (it is a context manager).

    Equal calls give equal digests.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        (self.folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        self._entries: list[Descriptor] = []

    def blob(self, content: bytes, media_type: str, **fields: Any) -> Descriptor:
        """Store a blob; `fields` go into the descriptor."""
        digest = Digest.of(content)
        (self.folder / "blobs" / "sha256" / digest.encoded).write_bytes(content)
        return Descriptor(mediaType=media_type, digest=digest, size=len(content), **fields)

    def layer(self, tar: bytes, created_by: str, media_type: str = media_types.OCI_LAYER_GZIP) -> Layer:
        """Store a tar as a gzip-compressed layer."""
        compressed = gzip.compress(tar, compresslevel=6, mtime=0)
        return Layer(self.blob(compressed, media_type), Digest.of(tar), created_by)

    def image(
        self,
        layers: Sequence[Layer | str],
        *,
        created: str,
        architecture: str = "amd64",
        os: str = "linux",
        variant: str | None = None,
        config: Mapping[str, Any] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> Descriptor:
        """Store an OCI image; a string among the layers is a build step without a layer."""
        made = [layer for layer in layers if isinstance(layer, Layer)]
        document = {
            "created": created,
            "architecture": architecture,
            "os": os,
            **({"variant": variant} if variant else {}),
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in made]},
            "history": [_history(layer, created) for layer in layers],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": fields_of(self.blob(compact(document), media_types.OCI_CONFIG)),
            "layers": [fields_of(layer.descriptor) for layer in made],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
        platform = {"architecture": architecture, "os": os, **({"variant": variant} if variant else {})}
        return self.blob(compact(manifest), media_types.OCI_MANIFEST, platform=platform)

    def index(self, manifests: Iterable[Descriptor], annotations: Mapping[str, str] | None = None) -> Descriptor:
        """Store an image index."""
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            "manifests": [fields_of(manifest) for manifest in manifests],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
        return self.blob(compact(document), media_types.OCI_INDEX)

    def artifact(
        self,
        content: bytes,
        media_type: str,
        *,
        artifact_type: str,
        subject: Descriptor | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> Descriptor:
        """Store an artifact, such as an SBOM, with an optional subject (image-spec, manifest.md)."""
        document = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": fields_of(self.blob(EMPTY_JSON, media_types.OCI_EMPTY)),
            "layers": [fields_of(self.blob(content, media_type))],
            **({"subject": fields_of(subject)} if subject else {}),
            **({"annotations": dict(annotations)} if annotations else {}),
        }
        return self.blob(compact(document), media_types.OCI_MANIFEST, artifactType=artifact_type)

    def tag(self, name: str, manifest: Descriptor) -> None:
        """Give a manifest the name `repository:tag`."""
        self._entries.append(manifest.model_copy(update={"annotations": {**manifest.annotations, REF_NAME: name}}))

    def keep(self, manifest: Descriptor) -> None:
        """List a manifest without a name, such as a referrer, in `index.json`."""
        self._entries.append(manifest)

    def close(self) -> None:
        """Write `oci-layout` and `index.json`."""
        (self.folder / "oci-layout").write_bytes(compact({"imageLayoutVersion": "1.0.0"}))
        index = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            "manifests": [fields_of(entry) for entry in self._entries],
        }
        (self.folder / "index.json").write_bytes(compact(index))

    def __enter__(self) -> LayoutWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()


def tar_of(files: Mapping[str, bytes], *, mtime: int = 0, mode: int = 0o644) -> bytes:
    """A tar of `files` by path, with their folders; equal files give equal bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted({parent.as_posix() for path in files for parent in Path(path).parents} - {"."}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, mtime
            archive.addfile(entry)
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(files[path]), mode, mtime
            archive.addfile(entry, io.BytesIO(files[path]))
    return buffer.getvalue()


def _history(layer: Layer | str, created: str) -> dict[str, Any]:
    if isinstance(layer, Layer):
        return {"created": created, "created_by": layer.created_by}
    return {"created": created, "created_by": layer, "empty_layer": True}


def fields_of(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor's fields for JSON, without absent ones."""
    dumped = descriptor.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {key: value for key, value in dumped.items() if value not in ([], {}, ())}
