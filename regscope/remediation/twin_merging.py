"""`merge_twins`: images rewritten to share one blob of each group of twins, layers with the same content."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from regscope import text
from regscope.analysis.final_tree import final_files
from regscope.analysis.fingerprints import ASPECTS, fingerprints
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.selection import Selection, select
from regscope.analysis.what_if import what_if
from regscope.errors import ContentError, ContentMissing, InvalidInput, ResourceNotFound
from regscope.images.image import HeldLayer, Image
from regscope.images.layer_types import layer_type
from regscope.remediation.changed_image import ChangedImage, ChangedLayer, changed_tree
from regscope.remediation.rewriting import RegistrySide, Rewriting, Rewritten, new_name, rewriting
from regscope.snapshot_argument import takes_snapshot_first
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.stores.content_store import ContentStore
from regscope.stores.open_store import as_store
from regscope.stores.stored_content import StoredContent
from regscope.tables import Snapshot

MAY_DIFFER = ("mtimes", "owner", "mode", "xattrs")
_SEEN = ["path", "kind", "size", "link_target", "device", "sha256"]
_SEEN_AS = {"mtimes": ["mtime"], "owner": ["uid", "gid"], "mode": ["mode"], "xattrs": ["xattrs"]}


@dataclass(frozen=True, eq=False)
class Merging:
    """Rewritten images whose twin layers are stored once.

    Attributes:
        rewritings: one rewriting for each tag.
        table: one row for each rewriting: `name`, `to`, `new_digest` (str), `layers` (int64: the number of layers that
            are replaced by their twin), `shared_bytes` (int64: bytes of those twins as stored; the registry has them).
        registry: the effect on the registry; `freed_bytes` once the old names are deleted.
        left: the images and layers that are not changed, and why, in sentences.
    """

    rewritings: list[Rewriting]
    table: pd.DataFrame
    registry: RegistrySide
    left: list[str]

    def apply(
        self, target: ContentStore | str | None = None, *, dry_run: bool = True, overwrite: bool = False
    ) -> list[Rewritten]:
        """Push the new images, one after another; see `Rewriting.apply`.

        Args:
            overwrite: move tags that exist already to the new images; also those of the originals, if `to` names them.
        """
        if target is not None and not isinstance(target, str):
            target = as_store(target)
        return [each.apply(target, dry_run=dry_run, overwrite=overwrite) for each in self.rewritings]

    def facts(self) -> dict[str, str]:
        """The figures of the merging, by their labels."""
        bound = "at most " if self.registry.at_most else ""
        freed = self.registry.freed_bytes
        return {
            "images": f"{len(self.rewritings):,}",
            "layers": f"{int(self.table['layers'].sum()):,} are replaced by a blob that is stored already",
            "the registry grows by": text.size(self.registry.added_bytes),
            "then, without the old names": f"{bound}{text.size(freed)} ({freed:,} bytes) are freed",
        }

    def notes(self) -> list[str]:
        """Notes on the merging: differences, what is not changed, referrers."""
        notes = ["Files may have other modification times than before; layers with other differences are not changed."]
        return [*notes, *self.left, "Signatures and SBOMs of the old images do not apply to the new ones."]

    def __repr__(self) -> str:
        return text.facts("Merge twins", self.facts(), self.notes())

    def _repr_html_(self) -> str:
        rows = self.table.astype(object).head(40).itertuples(index=False)
        return text.card("Merge twins", self.facts(), self.notes(), tuple(self.table.columns), rows)


@takes_snapshot_first
def merge_twins(
    snap: Snapshot,
    store: ContentStore | str,
    images: Selection | None = None,
    *,
    to: str = "{tag}-merged",
    may_differ: Collection[str] = ("mtimes",),
) -> Merging:
    """Rewrite images so that twins, layers with the same content in different tars, are stored as one blob.

    Twins may differ in their compression, in the order and format of their tar entries, and in the attributes in
    `may_differ`. An image is rewritten only if its final file system stays the same. Of a group of twins the layer that
    most images have is kept, and of several such layers the smallest.

    Args:
        snap: a snapshot of the whole registry, with the files of its layers (see `scan_files`).
        store: the store that was scanned, or its location.
        images: names, globs or digests of the tags to rewrite; all by default.
        to: the pattern of the new tags, in which `{tag}` is the old tag. `{tag}` alone moves the tags themselves, which
            `apply` does only with `overwrite=True`.
        may_differ: any of mtimes, owner, mode and xattrs.

    Raises:
        InvalidInput: `images` matches no tag, `to` gives two images one name, or `may_differ` has an unknown attribute.
        RegscopeError: an image cannot be read.
    """
    if unknown := set(may_differ) - set(MAY_DIFFER):
        raise InvalidInput(f"may_differ: unknown {', '.join(sorted(unknown))}", next_step=f"Choose from {MAY_DIFFER}.")
    if "{tag}" not in to:
        raise InvalidInput(f"{to!r} would give all images one name", next_step="Write {tag} in it.")
    opened = as_store(store)
    merging = _Merging(opened, snap, may_differ)
    found = []
    for repository, tag in _tags(snap, images):
        name = f"{repository}:{tag}"
        try:
            tree = changed_tree(opened, name, None, merging.merged)
        except (InvalidInput, ContentError, ContentMissing, ResourceNotFound) as error:
            merging.left.append(f"{name} is not changed: {error.message}.")
            continue
        if tree.before.digest != tree.after.digest:
            found.append(
                rewriting("Merge twins in", opened, name, new_name(name, to.replace("{tag}", tag)), tree, None)
            )
    return Merging(found, _table(found), _registry_side(snap, found), list(dict.fromkeys(merging.left)))


def _tags(snap: Snapshot, images: Selection | None) -> list[tuple[str, str]]:
    """The chosen tags of images and indexes; tags of attachments such as signatures are left out."""
    tags = snap.tags
    if images is not None:
        chosen, nodes = select(graph := ReferenceGraph(snap), images)
        tags = tags[chosen | pd.Series(nodes).reindex(graph.tag_node).fillna(False).to_numpy(dtype=bool)]
    digests = snap.manifests.loc[snap.manifests["kind"].isin(["image", "index"]), "digest"]
    tags = tags[tags["subject"].isna() & tags["digest"].isin(digests)]
    return list(zip(tags["repository"].astype("str"), tags["tag"], strict=True))


class _Merging:
    """Replaces layers by the twin that is kept.

    Attributes:
        left: why images and layers are not changed, in sentences.
    """

    def __init__(self, store: ContentStore, snap: Snapshot, may_differ: Collection[str]) -> None:
        self._store = store
        self._snap = snap
        self._seen = [
            *_SEEN,
            *(column for aspect in MAY_DIFFER if aspect not in may_differ for column in _SEEN_AS[aspect]),
        ]
        self._places = snap.placements.drop_duplicates("digest").set_index("digest")["repository"].astype("str")
        read = snap.unpacked.astype({"layer_digest": "str", "diff_id": "str"}).set_index("layer_digest")
        self._about = _described(snap).join(read[["diff_id", "size"]], how="inner")
        self._stands_for = _stands_for(snap, self._about, [aspect for aspect in ASPECTS if aspect not in may_differ])
        self.left: list[str] = []

    def merged(self, store: ContentStore, repository: str, image: Image) -> ChangedImage:
        """The image with each layer replaced by the twin that is kept."""
        layers = [ChangedLayer(layer, self._standing(layer, image.media_type)) for layer in image.layers]
        unchanged = ChangedImage(image, image, [ChangedLayer(layer, layer) for layer in image.layers], [])
        if all(layer.after is layer.before for layer in layers):
            return unchanged
        if not self._comes_to_the_same(image.digest, layers):
            self.left.append(f"{repository}@{image.digest} is not changed: its final file system would be another one.")
            return unchanged
        after = [layer.after for layer in layers if layer.after is not None]
        return ChangedImage(image, image.with_layers(after, image.history), layers, [])

    def _standing(self, layer: HeldLayer, manifest: str) -> HeldLayer:
        digest = layer.descriptor.digest
        other = self._stands_for.get(digest, digest)
        if other == digest:
            return layer
        about = self._about.loc[other]
        try:
            kind = layer_type(str(about["media_type"]), manifest)
        except InvalidInput as error:
            self.left.append(f"The layer {digest} is not changed: {error.message}.")
            return layer
        blob = Descriptor(mediaType=kind, digest=Digest(other), size=int(str(about["size"])))
        content = StoredContent(self._store, str(self._places[about["digest"]]), blob)
        return HeldLayer(blob, Digest(str(about["diff_id"])), content)

    def _comes_to_the_same(self, image: Digest, layers: Sequence[ChangedLayer]) -> bool:
        """Whether the final file system stays the same, but for the attributes that may differ."""
        own = self._snap.layers[self._snap.layers["digest"] == image].astype({"blob_digest": "str"})
        blobs = {layer.before.descriptor.digest: layer.after.descriptor.digest for layer in layers if layer.after}
        own["blob_digest"] = own["blob_digest"].map(blobs).astype("category")
        other = replace(self._snap, layers=own)
        before, after = final_files(self._snap, image), final_files(other, image)
        names = [files.groupby("inode")["path"].transform("min") for files in (before, after)]
        return before[self._seen].equals(after[self._seen]) and names[0].equals(names[1])


def _described(snap: Snapshot) -> pd.DataFrame:
    """For each layer of a known type: `media_type`, `digest` of a manifest that has it, and `images` that have it."""
    layers = snap.layers[snap.layers["media_type"].notna()].drop_duplicates(["digest", "blob_digest"])
    layers = layers[["blob_digest", "media_type", "digest"]].astype("str")
    by_layer = layers.groupby("blob_digest")
    return by_layer.first().assign(images=by_layer.size())


def _stands_for(snap: Snapshot, layers: pd.DataFrame, aspects: Sequence[str]) -> dict[str, str]:
    """For each layer, the twin that is kept of those equal to it in `aspects`."""
    same = fingerprints(snap)[list(aspects)].map(bytes.hex).agg(" ".join, axis=1).rename("same")
    table = layers.join(same, how="inner").rename_axis("layer").reset_index()
    table = table.sort_values(["images", "size", "layer"], ascending=[False, True, True])
    return dict(zip(table["layer"], table.groupby("same")["layer"].transform("first"), strict=True))


def _table(rewritings: Sequence[Rewriting]) -> pd.DataFrame:
    rows = []
    for each in rewritings:
        changed = each.layers[each.layers["digest"] != each.layers["new_digest"]].drop_duplicates("new_digest")
        rows.append((each.name, each.to, str(each.digest), len(changed), int(changed["new_size"].sum())))
    columns = ["name", "to", "new_digest", "layers", "shared_bytes"]
    types = dict(zip(columns, ["str", "str", "str", "int64", "int64"], strict=True))
    return pd.DataFrame.from_records(rows, columns=columns).astype(types)


def _registry_side(snap: Snapshot, rewritings: Sequence[Rewriting]) -> RegistrySide:
    if not rewritings:
        return RegistrySide(0, 0, False)
    needed = {digest: size for each in rewritings for digest, size in each.tree.blobs().items()}
    there = set(snap.blobs["digest"].astype("str"))
    deleted = what_if(snap, delete=[each.name for each in rewritings])
    freed = deleted.blobs[~deleted.blobs["digest"].isin(list(needed))]
    added = sum(size for digest, size in needed.items() if digest not in there)
    return RegistrySide(added, int(freed["size"].sum()), deleted.at_most)
