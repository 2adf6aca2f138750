"""`make_index`: an index made of images, or of the entries of other indexes (OCI image-spec, image-index.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tqdm.auto import tqdm

from regscope.concurrency import READS_AT_ONCE
from regscope.errors import InvalidInput
from regscope.images.copying import Copying
from regscope.images.image_names import Wanted, split_name
from regscope.images.image_tree import ImageTree, read_tree
from regscope.registry.manifests import RawManifest
from regscope.registry.responses import METADATA_LIMIT
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.image_config import parse_image_config
from regscope.spec.json_forms import compact
from regscope.spec.manifest import ImageManifest
from regscope.spec.media_types import DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, IMAGE_CONFIGS, OCI_INDEX
from regscope.spec.platform import Platform
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Destination
from regscope.stores.layout_writer import fields_of
from regscope.stores.open_destination import open_destination
from regscope.stores.open_store import as_store


def make_index(
    source: ContentStore | str,
    images: Sequence[str],
    target: ContentStore | str,
    to: str,
    *,
    annotations: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Digest:
    """Write an index of images, and copy these to its repository. An image's platform is that of its config.

    An index among `images` stands for all its entries; of two entries for one platform the later one counts. To replace
    or add images of an index, name the index itself first, and then the new images.

    Args:
        images: `repository:tag` or `repository@digest`, in the order of the entries.
        to: the index's name, `repository:tag`.
        annotations: the annotations of the index.
        overwrite: move the tag `to` if it points to another manifest, as when an index is replaced.

    Returns:
        The index's digest; equal images give equal digests. If all images are Docker's, and there are no annotations,
        the index is a Docker manifest list.

    Raises:
        InvalidInput: `images` is empty, a name is no image's, or `to` points to another manifest.
        RegscopeError: a store cannot be read or written.
    """
    store = as_store(source)
    return make_index_at(store, images, open_destination(target), to, annotations=annotations, overwrite=overwrite)


def make_index_at(
    store: ContentStore,
    images: Sequence[str],
    place: Destination,
    to: str,
    *,
    annotations: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Digest:
    """As `make_index`, between stores that are open already."""
    entries: dict[str, tuple[str, Descriptor]] = {}
    for name in images:
        repository, reference = split_name(name)
        for entry in _entries(store, repository, reference, name):
            key = str(entry.platform) if _runs(entry.platform) else entry.digest
            entries.pop(key, None)
            entries[key] = repository, entry
    if not entries:
        raise InvalidInput("no images for the index", next_step="Name the images of the index.")
    raw = _index([entry for _, entry in entries.values()], annotations or {})
    repository, reference = split_name(to)
    children = [read_tree(store, origin, entry.digest) for origin, entry in entries.values()]
    tree = ImageTree(repository, raw, children=children)
    with tqdm(disable=True) as silent:
        wanted = Wanted(repository, reference, repository, reference)
        Copying(store, place, READS_AT_ONCE, silent).write([(wanted, tree)], overwrite=overwrite)
    place.close()
    return raw.digest


def _entries(store: ContentStore, repository: str, reference: str, name: str) -> list[Descriptor]:
    found = store.manifest(repository, reference)
    manifest = found.parse()
    if manifest.is_index:
        return list(manifest.manifests)
    if not isinstance(manifest, ImageManifest) or manifest.config.mediaType not in IMAGE_CONFIGS:
        raise InvalidInput(f"{name} is no image: its type is {manifest.media_type}")
    config = parse_image_config(store.read_blob(repository, manifest.config.digest, METADATA_LIMIT))
    platform = Platform(os=config.os, architecture=config.architecture, variant=config.variant)
    return [Descriptor(mediaType=manifest.media_type, digest=found.digest, size=len(found.raw), platform=platform)]


def _runs(platform: Platform | None) -> bool:
    """Whether a platform is given; attestations have none, and several of them are kept."""
    return platform is not None and platform.os not in ("", "unknown")


def _index(entries: Sequence[Descriptor], annotations: Mapping[str, str]) -> RawManifest:
    is_docker = not annotations and all(entry.mediaType == DOCKER_MANIFEST for entry in entries)
    media_type = DOCKER_MANIFEST_LIST if is_docker else OCI_INDEX
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [fields_of(entry) for entry in entries],
    }
    if annotations:
        document["annotations"] = dict(annotations)
    raw = compact(document)
    return RawManifest(raw, Digest.of(raw), media_type)
