"""`slim`: an image without the hidden files of its layers, which upper layers overwrite or delete."""

from __future__ import annotations

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from regscope.analysis.layer_entries import LayerEntries
from regscope.analysis.needed_entries import needed_entries
from regscope.arrays import Bools, Ints
from regscope.errors import InvalidInput
from regscope.file_rows import FileRows
from regscope.images.image import HeldLayer, Image
from regscope.layers.compression import Compression
from regscope.layers.stacked import Stacked
from regscope.remediation.changed_image import ChangedImage, ChangedLayer, changed_tree
from regscope.remediation.layer_rewriting import rewritten
from regscope.remediation.recompressing import recompressed
from regscope.remediation.rewriting import Rewriting, new_name, rewriting
from regscope.scanning.files import read_files
from regscope.scanning.read_layer import WantedLayer
from regscope.snapshot_argument import as_snapshot
from regscope.spec.media_types import is_filesystem_layer, is_foreign_layer
from regscope.spec.platform import Platform
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_store
from regscope.tables import Snapshot

_BLOCK = 512


def slim(
    store: ContentStore | str,
    image: str,
    new_tag: str,
    *,
    platform: str | None = None,
    snap: Snapshot | None = None,
    leave: Collection[str] = (),
    at_least: int = 1,
    recompress: Compression | None = None,
    level: int | None = None,
) -> Rewriting:
    """Rewrite an image without the files that its upper layers overwrite or delete; its final file system is the same.

    From each layer the entries are dropped that the final file system does not need: files that a higher layer, or a
    later entry of the same layer, replaces or deletes, and whiteouts that then hide nothing. A file is kept if it has a
    visible hardlink, or if its directory exists only because of it. The other entries are copied byte for byte, and
    compressed as the layer was. A layer without dropped entries keeps its blob; a layer without remaining entries is
    dropped, and its step in the history is marked as empty. The config is otherwise unchanged.

    The new layers are written to temporary files, so that all sizes are exact; nothing is pushed before `apply`.

    Args:
        store: a store, or a location as for `regscope.open`.
        image: `repository:tag` or `repository@digest`; of an index all images are rewritten, and the index itself.
        new_tag: a tag in the same repository, or `repository:tag`.
        platform: rewrite only the image of this platform, such as `linux/arm64`; it replaces the index.
        snap: a snapshot of the whole registry: the result then says which layers other images share, and how many bytes
            the registry gains.
        leave: digests of layers that are not rewritten, such as those of a base that many images share.
        at_least: bytes of its uncompressed tar that a layer must lose; a layer that would lose less is not rewritten.
        recompress, level: also compress all layers in this way, see `recompress`.

    Raises:
        ContentMissing, ResourceNotFound: there is no such image.
        InvalidInput: the name is no image's, or a layer is not stored with the image or is no file system.
        ContentError: regscope and Python's `tarfile` read different entries in a layer.
        DigestMismatch: a layer is damaged.
    """
    opened, known = as_store(store), None if snap is None else as_snapshot(snap)
    to = new_name(image, new_tag)
    chosen = None if platform is None else Platform.parse(platform)

    def change(store: ContentStore, repository: str, image: Image) -> ChangedImage:
        slimmed = _slimmed(store, repository, image, frozenset(leave), at_least)
        return slimmed if recompress is None else recompressed(slimmed, recompress, level)

    tree = changed_tree(opened, image, chosen, change)
    found = rewriting("Slim", opened, image, to, tree, known)
    if unknown := set(leave) - set(found.layers["digest"]):
        raise InvalidInput(f"{image} has no layer {min(unknown)}", next_step="Give the full digests of its layers.")
    return found


def _slimmed(store: ContentStore, repository: str, image: Image, leave: Collection[str], at_least: int) -> ChangedImage:
    digests = [str(layer.descriptor.digest) for layer in image.layers]
    files = read_files(store, _wanted(repository, image))
    entries = LayerEntries(files, list(dict.fromkeys(digests)), ["size"])
    if entries.entries.is_nameless.any():
        raise InvalidInput(
            "a layer has a whiteout without a name: containerd refuses to unpack it", next_step="Rebuild the image."
        )
    stacked = entries.stacked(digests)
    left = {position for position, digest in enumerate(digests) if digest in leave}
    needed = _worth_dropping(stacked, _bytes_in_tar(entries), left, at_least)
    emptied = {position for position in range(len(image.layers)) if not needed[stacked.layer == position].any()}
    may_go = image.tells_all and len(emptied) < len(image.layers)
    rows = FileRows(files.files, ["path", "whiteout", "size"])

    def changed(position: int, layer: HeldLayer) -> ChangedLayer:
        stays = needed[stacked.layer == position]
        if stays.all():
            return ChangedLayer(layer, layer)
        found = rewritten(store, repository, layer, rows.of(layer.descriptor.digest), stays.tolist())
        descriptor = found.scratch.descriptor(layer.descriptor.mediaType)
        made = HeldLayer(descriptor, found.scratch.diff_id, found.scratch)
        is_gone = may_go and not stays.any()
        return ChangedLayer(layer, None if is_gone else made, int((~stays).sum()), found.dropped)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of the time is spent unpacking and compressing
        return _with(image, list(pool.map(changed, range(len(image.layers)), image.layers)))


def _wanted(repository: str, image: Image) -> list[WantedLayer]:
    for layer in image.layers:
        kind = layer.descriptor.mediaType
        if is_foreign_layer(kind) or not is_filesystem_layer(kind):
            raise InvalidInput(
                f"the layer {layer.descriptor.digest} is of type {kind}: its content cannot be read",
                next_step="Choose an image all of whose layers are stored with it.",
            )
    found = {layer.descriptor.digest: layer for layer in image.layers}
    return [WantedLayer(digest, repository, layer.descriptor.size, (layer.diff_id,)) for digest, layer in found.items()]


def _bytes_in_tar(entries: LayerEntries) -> Ints:
    """The approximate size of each entry in its tar, in bytes: a header, and full blocks of content."""
    content = np.where(entries.entries.is_file, entries.frame["size"].to_numpy(), 0)
    return _BLOCK + -(-content // _BLOCK) * _BLOCK


def _worth_dropping(stacked: Stacked, sizes: Ints, left: set[int], at_least: int) -> Bools:
    """Which entries stay; layers that would lose less than `at_least` bytes keep all."""
    whole = set(left)
    while True:
        needed = needed_entries(stacked, whole)
        lost = np.bincount(stacked.layer[~needed], weights=sizes[stacked.rows[~needed]])
        small = {int(position) for position in np.flatnonzero((lost > 0) & (lost < at_least))}
        if not small:
            return needed
        whole |= small


def _with(image: Image, changes: list[ChangedLayer]) -> ChangedImage:
    """The image with the remaining layers, and a history that matches them."""
    if all(change.after is change.before for change in changes):
        return ChangedImage(image, image, changes, [])
    history, remaining = [], iter(changes)
    for step in image.history:
        gone = image.tells_all and not step.get("empty_layer") and next(remaining).after is None
        history.append({**step, "empty_layer": True} if gone else step)
    note = {"created_by": "regscope slim", "comment": f"made of {image.digest}", "empty_layer": True}
    steps = [*history, note] if history else []
    layers = [change.after for change in changes if change.after is not None]
    return ChangedImage(image, image.with_layers(layers, steps), changes, [])
