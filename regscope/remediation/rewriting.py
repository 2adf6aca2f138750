"""An image that is to be pushed anew: first what it would come to, to the byte; then it is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pandas as pd

from regscope import text
from regscope.analysis.what_if import what_if
from regscope.errors import InvalidInput, RegscopeError
from regscope.images.image import HeldLayer
from regscope.images.image_names import named, split_name
from regscope.remediation.changed_image import ChangedLayer, ChangedTree, platform_name
from regscope.spec.build_history import layer_line, steps_of_layers
from regscope.spec.digest import Digest
from regscope.spec.reference import check_tag
from regscope.stores.content_store import ContentStore
from regscope.stores.destination import Name, check_names
from regscope.stores.open_destination import open_destination
from regscope.stores.open_store import as_it_is_now
from regscope.tables import Snapshot

_DTYPES = {
    "platform": "str",
    "position": "int64",
    "digest": "str",
    "size": "int64",
    "new_digest": "str",
    "new_size": "int64",
    "saved": "int64",
    "entries_dropped": "int64",
    "bytes_dropped": "int64",
    "shared_with": "Int64",
    "created_by": "str",
}
_SHOWN = ["position", "size", "new_size", "entries_dropped", "bytes_dropped", "shared_with", "created_by"]


class RegistrySide(NamedTuple):
    """What a rewriting means for the whole registry.

    Attributes:
        added_bytes: that the new image takes, in blobs and manifests that are not there yet.
        freed_bytes: that the next garbage collection would free if the old name were deleted then.
        at_most: whether that is an upper bound.
    """

    added_bytes: int
    freed_bytes: int
    at_most: bool


@dataclass(frozen=True, eq=False)
class Rewriting:
    """An image made anew, and not pushed yet: its layers are there, in temporary files, so all sizes are exact.

    Attributes:
        title: what is done to it.
        store: where it was read.
        name: of the original; `tree.before.digest` is its digest.
        to: what it is to be called, `repository:tag`.
        tree: the images before and after.
        registry: what it means for the registry; None where no snapshot was given.
        layers: one row for each layer of each image: `platform` (str), `position` (int64, from 0, lowest first),
            `digest`, `new_digest` (str; absent for a layer that is gone), `size`, `new_size`, `saved` (int64, bytes as
            stored), `entries_dropped` (int64), `bytes_dropped` (int64, of the uncompressed tar), `shared_with` (Int64:
            other image manifests in the snapshot that have the layer, and for which it stays; absent without one),
            `created_by` (str).
    """

    title: str
    store: ContentStore
    name: str
    to: str
    tree: ChangedTree
    layers: pd.DataFrame
    registry: RegistrySide | None

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to do."""
        return self.tree.before.digest != self.tree.after.digest

    @property
    def digest(self) -> Digest:
        """Of the new image, or index."""
        return self.tree.after.digest

    @cached_property
    def size_before(self) -> int:
        """Bytes of the distinct layers of the original, as stored."""
        return _bytes_of(self.layers["digest"], self.layers["size"])

    @cached_property
    def size_after(self) -> int:
        """The same of the new image."""
        return _bytes_of(self.layers["new_digest"], self.layers["new_size"])

    def apply(
        self, target: ContentStore | str | None = None, *, dry_run: bool = True, overwrite: bool = False
    ) -> Rewritten:
        """Push the new image. The original stays as it is, and nothing is deleted.

        Args:
            target: a store, or a location as for `regscope.open`; by default where the original was read.
            dry_run: only look whether it could be done.
            overwrite: let a tag that is there point to the new image.

        Raises:
            InvalidInput: the tag is there, and points to something else.
            RegscopeError: the original's tag points to something else by now; or it cannot be written.
        """
        place = open_destination(self.store if target is None else target)
        self._check_original()
        check_names(place, [Name(*split_name(self.to), self.digest)], overwrite)
        if dry_run:
            return Rewritten(self.to, self.digest, place.location, True, self.size_after, None)
        repository, tag = split_name(self.to)
        self.tree.send(self.store, place, repository, tag)
        place.close()
        return Rewritten(self.to, self.digest, place.location, False, self.size_after, self._actual(target))

    def _check_original(self) -> None:
        repository, reference = split_name(self.name)
        if ":" not in reference and self.store.resolve(repository, reference) != self.tree.named:
            raise RegscopeError(f"{self.name} points to another image by now", next_step="Begin anew with that.")

    def _actual(self, target: ContentStore | str | None) -> int:
        """Bytes of the layers as they are stored now, by what the target says."""
        opened = self.store if target is None else as_it_is_now(target)
        repository, tag = split_name(self.to)
        if opened.resolve(repository, tag) != self.digest:
            raise RegscopeError(f"{self.to} points to another image than the one that was just pushed")
        layers = {layer.descriptor.digest for image in self.tree.images for layer in image.after.layers}
        return sum(opened.blob_size(repository, digest) for digest in layers)

    def facts(self) -> dict[str, str]:
        """What it comes to, in words."""
        rewritten = int((self.layers["digest"] != self.layers["new_digest"]).sum())
        saved = self.size_before - self.size_after
        facts = {
            "becomes": f"{self.to}, {self.digest}",
            "layers": f"{rewritten:,} of {len(self.layers):,} are made anew",
            "stored": f"{text.size(self.size_before)}, then {text.size(self.size_after)}",
            "saves": f"{text.size(saved)} ({saved:,} bytes)",
        }
        if self.registry is not None:
            bound = "at most " if self.registry.at_most else ""
            facts["the registry grows by"] = (
                f"{text.size(self.registry.added_bytes)} ({self.registry.added_bytes:,} bytes)"
            )
            facts[f"then, without {self.name}"] = f"{bound}{text.size(self.registry.freed_bytes)} come back"
        return facts

    def notes(self) -> list[str]:
        """What a reader must know."""
        if not self.is_changed:
            return ["There is nothing to be done: the new name would be one more for the same image."]
        notes = ["The original stays, and nothing is deleted.", *self.tree.notes]
        if any(layer.before.descriptor.annotations for layer in self._made_anew()):
            notes.append(
                "What the manifest said besides of layers that are made anew, such as an index of their files, is gone."
            )
        if self.size_after > self.size_before:
            notes.append("It takes more bytes than before: it was compressed better than it is here.")
        shared = int(((self.layers["shared_with"] > 0) & (self.layers["digest"] != self.layers["new_digest"])).sum())
        if shared:
            notes.append(f"{text.count(shared, 'layer')} made anew are in other images, too, and stay for those.")
        return [*notes, "Signatures, SBOMs and all else that refers to the original say nothing of the new image."]

    def _made_anew(self) -> list[ChangedLayer]:
        layers = [layer for image in self.tree.images for layer in image.layers]
        return [layer for layer in layers if layer.after is not layer.before]

    def __repr__(self) -> str:
        return text.facts(f"{self.title} {self.name}", self.facts(), self.notes())

    def _repr_html_(self) -> str:
        rows = self.layers[_SHOWN].astype(object).head(40).itertuples(index=False)
        return text.card(f"{self.title} {self.name}", self.facts(), self.notes(), _SHOWN, rows)


@dataclass(frozen=True)
class Rewritten:
    """What came of a rewriting.

    Attributes:
        name, digest: of the new image.
        location: of the store that has it.
        dry_run: whether nothing was written.
        predicted_bytes: of its layers.
        actual_bytes: of its layers as the store has them now; None after a dry run.
    """

    name: str
    digest: Digest
    location: str
    dry_run: bool
    predicted_bytes: int
    actual_bytes: int | None

    def facts(self) -> dict[str, str]:
        """The same, for people."""
        actual = "nothing was written" if self.actual_bytes is None else f"{self.actual_bytes:,} bytes in layers"
        return {
            "name": self.name,
            "digest": self.digest,
            "where": self.location,
            "predicted": f"{self.predicted_bytes:,} bytes in layers",
            "stored": actual,
        }

    def __repr__(self) -> str:
        return text.facts("Would be pushed" if self.dry_run else "Pushed", self.facts())

    def _repr_html_(self) -> str:
        return text.card("Would be pushed" if self.dry_run else "Pushed", self.facts())


def rewriting(
    title: str, store: ContentStore, name: str, to: str, tree: ChangedTree, snap: Snapshot | None
) -> Rewriting:
    """What is known of a change before it is pushed.

    Args:
        to: `repository:tag`, see `new_name`.

    Raises:
        InvalidInput: the snapshot does not know the image.
    """
    repository, reference = split_name(name)
    layers = _layers(tree, snap)
    registry = None if snap is None else _registry_side(snap, named(repository, reference), tree)
    return Rewriting(title, store, named(repository, reference), to, tree, layers, registry)


def new_name(image: str, to: str) -> str:
    """`repository:tag` of what was written as that, or as a tag alone, in the repository of `image`.

    Raises:
        InvalidInput: it is neither.
    """
    if ":" not in to and "/" not in to and "@" not in to:
        to = f"{split_name(image)[0]}:{to}"
    other, tag = split_name(to)
    if ":" in tag:
        raise InvalidInput(f"{to!r} is no tag", next_step="A digest cannot be chosen: write a tag, or repository:tag.")
    return f"{other}:{check_tag(tag)}"


def _bytes_of(digests: pd.Series[str], sizes: pd.Series[int]) -> int:
    return int(sizes[~digests.duplicated() & digests.notna()].sum())


def _layers(tree: ChangedTree, snap: Snapshot | None) -> pd.DataFrame:
    table = pd.DataFrame.from_records(list(_layer_rows(tree)), columns=list(_DTYPES)).astype(_DTYPES)
    if snap is not None:
        own = {image.before.digest for image in tree.images}
        others = snap.layers[~snap.layers["digest"].isin(own)].drop_duplicates(["digest", "blob_digest"])
        counts = others["blob_digest"].astype("str").value_counts()
        table["shared_with"] = table["digest"].map(counts).fillna(0).astype("Int64")
    return table


def _layer_rows(tree: ChangedTree) -> Iterator[tuple[object, ...]]:
    for image in tree.images:
        history = image.before.image_json.history
        made_by = [layer_line(history, steps) for steps in steps_of_layers(history, len(image.layers))]
        platform = platform_name(image.before)
        for position, (layer, step) in enumerate(zip(image.layers, made_by, strict=True)):
            before, after = layer.before.descriptor, _described(layer.after)
            yield (
                platform, position, before.digest, before.size, *after, before.size - after[1], layer.entries,
                layer.bytes, None, step,
            )  # fmt: skip


def _described(layer: HeldLayer | None) -> tuple[Digest | None, int]:
    return (None, 0) if layer is None else (layer.descriptor.digest, layer.descriptor.size)


def _registry_side(snap: Snapshot, name: str, tree: ChangedTree) -> RegistrySide:
    needed = tree.blobs()
    there = set(snap.blobs["digest"].astype("str"))
    added = sum(size for digest, size in needed.items() if digest not in there)
    deleted = what_if(snap, delete=name)
    freed = deleted.blobs[~deleted.blobs["digest"].isin(list(needed))]
    return RegistrySide(added, int(freed["size"].sum()), deleted.at_most)
