"""`recompress`: an image with its layers compressed in another way; its tars, diff_ids and config stay the same."""

from __future__ import annotations

from regscope.images.image import Image
from regscope.layers.compression import Compression
from regscope.remediation.changed_image import ChangedImage, ChangedLayer, changed_tree
from regscope.remediation.rewriting import Rewriting, new_name, rewriting
from regscope.snapshot_argument import as_snapshot
from regscope.spec.media_types import DOCKER_MANIFEST
from regscope.spec.platform import Platform
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_store
from regscope.tables import Snapshot

_AS_OCI = "The new manifest is an OCI manifest: Docker's media types have none for zstd layers."


def recompress(
    store: ContentStore | str,
    image: str,
    new_tag: str,
    *,
    compression: Compression = "zstd",
    level: int | None = None,
    platform: str | None = None,
    snap: Snapshot | None = None,
) -> Rewriting:
    """Rewrite an image with its layers compressed in another way; layers that have this compression are not changed.

    The new layers are written to temporary files, so that all sizes are exact; nothing is pushed before `apply`. For
    zstd, a Docker manifest is replaced by an OCI manifest, and a manifest list by an OCI index.

    Args:
        store, image, new_tag, platform, snap: as for `slim`.
        level: of the compression, 0 to 9 for gzip, 1 to 22 for zstd; 6 and 3 by default.

    Raises:
        ContentMissing, ResourceNotFound: there is no such image.
        InvalidInput: the name is no image's, or the level is invalid.
        DigestMismatch: a layer is damaged.
    """
    opened, known = as_store(store), None if snap is None else as_snapshot(snap)
    to = new_name(image, new_tag)
    chosen = None if platform is None else Platform.parse(platform)

    def change(store: ContentStore, repository: str, image: Image) -> ChangedImage:
        as_it_is = ChangedImage(image, image, [ChangedLayer(layer, layer) for layer in image.layers], [])
        return recompressed(as_it_is, compression, level)

    return rewriting("Recompress", opened, image, to, changed_tree(opened, image, chosen, change), known)


def recompressed(changed: ChangedImage, compression: Compression, level: int | None) -> ChangedImage:
    """A changed image with its layers compressed in this way, too.

    Raises:
        InvalidInput: the level is invalid, or a layer is damaged.
    """
    image, notes = changed.after, list(changed.notes)
    if compression == "zstd" and image.media_type == DOCKER_MANIFEST:
        image, notes = image.to_oci(), [*notes, _AS_OCI]
    image = image.recompress(compression, level)
    made = iter(image.layers)
    layers = [layer if layer.after is None else layer._replace(after=next(made)) for layer in changed.layers]
    return ChangedImage(changed.before, image, layers, notes)
