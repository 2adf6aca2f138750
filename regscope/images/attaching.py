"""`attach`: pushes an artifact whose subject is an image: a signature, an SBOM (OCI image-spec, manifest.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from regscope.errors import InvalidInput
from regscope.images.image_names import split_name
from regscope.registry.local_content import LocalContent
from regscope.registry.manifests import RawManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest, Passing
from regscope.spec.manifest import OCIManifestSchema1
from regscope.spec.media_types import OCI_EMPTY
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination
from regscope.stores.open_destination import open_destination
from regscope.stores.open_store import as_store

_EMPTY = b"{}"


def attach(
    store: ContentStore | str,
    image: str,
    file: Path | str,
    artifact_type: str,
    *,
    media_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Digest:
    """Push a file as an artifact whose subject is an image, into the image's repository.

    Args:
        image: `repository:tag` or `repository@digest`, of an image or an index.
        artifact_type: such as `application/spdx+json`.
        media_type: the media type of the file; by default the artifact type.
        annotations: the annotations of the artifact's manifest.

    Returns:
        The digest of the artifact's manifest; equal files and images give equal digests.

    Raises:
        ContentMissing, ResourceNotFound: there is no such image.
        InvalidInput: the artifact type is invalid, or the store cannot hold artifacts.
        RegscopeError: the store cannot be written.
    """
    opened = as_store(store)
    return attach_at(opened, open_destination(store), image, file, artifact_type, media_type, annotations)


def attach_at(
    store: ContentStore,
    place: Destination,
    image: str,
    file: Path | str,
    artifact_type: str,
    media_type: str | None,
    annotations: Mapping[str, str] | None,
) -> Digest:
    """As `attach`, with the store open already, as a store to read and as a destination."""
    if "/" not in artifact_type:
        raise InvalidInput(f"{artifact_type!r} is no artifact type", next_step="Use one like application/spdx+json.")
    repository, reference = split_name(image)
    found = store.manifest(repository, reference)
    content = LocalContent(Path(file), None)
    passing = Passing()
    for piece in content.pieces():
        passing.take(piece)
    subject = Descriptor(mediaType=found.parse().media_type, digest=found.digest, size=len(found.raw))
    manifest = OCIManifestSchema1(
        artifactType=artifact_type,
        config=Descriptor(mediaType=OCI_EMPTY, digest=Digest.of(_EMPTY), size=len(_EMPTY)),
        layers=(Descriptor(mediaType=media_type or artifact_type, digest=passing.digest, size=passing.size),),
        subject=subject,
        annotations=dict(annotations or {}),
    )
    raw = RawManifest(manifest.raw, manifest.digest, manifest.media_type)
    place.check(repository, raw.digest, raw)
    place.take_blob(repository, Digest.of(_EMPTY), LocalContent.of(_EMPTY), None)
    place.take_blob(repository, passing.digest, content, None)
    place.take_manifest(repository, None, raw)
    place.close()
    return raw.digest
