"""`Rewriting`: a rewritten image before its push, with exact sizes; `Rewritten`: the result of the push."""

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
    """The effect of a rewriting on the whole registry.

    Attributes:
        added_bytes: bytes of the new image's blobs and manifests that the registry does not have yet.
        freed_bytes: bytes that the next garbage collection would free if the old name were deleted after the push.
        at_most: whether `freed_bytes` is an upper bound.
    """

    added_bytes: int
    freed_bytes: int
    at_most: bool


@dataclass(frozen=True, eq=False)
class Rewriting:
    """A rewritten image that is not pushed yet; its new layers are in temporary files, so that all sizes are exact.

    Attributes:
        title: the operation, as in the heading.
        store: the store from which the original was read.
        name: the name of the original; `tree.before.digest` is its digest.
        to: the name of the new image, `repository:tag`.
        tree: the images before and after.
        registry: the effect on the registry; None without a snapshot.
        layers: one row for each layer of each image: `platform` (str), `position` (int64, from 0, lowest first),
            `digest`, `new_digest` (str; absent for a layer that was dropped), `size`, `new_size`, `saved` (int64,
            bytes as stored), `entries_dropped` (int64), `bytes_dropped` (int64, of the uncompressed tar), `shared_with`
            (Int64: the number of other image manifests in the snapshot that need the old layer; absent without a
            snapshot), `created_by` (str).
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
        """Whether the new image differs from the original."""
        return self.tree.before.digest != self.tree.after.digest

    @property
    def digest(self) -> Digest:
        """The digest of the new image, or index."""
        return self.tree.after.digest

    @cached_property
    def size_before(self) -> int:
        """Bytes of the distinct layers of the original, as stored."""
        return _bytes_of(self.layers["digest"], self.layers["size"])

    @cached_property
    def size_after(self) -> int:
        """Bytes of the distinct layers of the new image, as stored."""
        return _bytes_of(self.layers["new_digest"], self.layers["new_size"])

    def apply(
        self, target: ContentStore | str | None = None, *, dry_run: bool = True, overwrite: bool = False
    ) -> Rewritten:
        """Push the new image. The original is not changed, and nothing is deleted.

        Args:
            target: a store, or a location as for `regscope.open`; by default the store of the original.
            dry_run: only check whether the image can be pushed.
            overwrite: move the tag of the new name if it exists already.

        Raises:
            InvalidInput: the tag exists already, and points to another image.
            RegscopeError: the original's tag points to another image now, or the target cannot be written.
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
            raise RegscopeError(f"{self.name} points to another image now", next_step="Start again with that image.")

    def _actual(self, target: ContentStore | str | None) -> int:
        """Bytes of the new image's layers, as the target reports them."""
        opened = self.store if target is None else as_it_is_now(target)
        repository, tag = split_name(self.to)
        if opened.resolve(repository, tag) != self.digest:
            raise RegscopeError(f"{self.to} points to another image than the one that was just pushed")
        layers = {layer.descriptor.digest for image in self.tree.images for layer in image.after.layers}
        return sum(opened.blob_size(repository, digest) for digest in layers)

    def facts(self) -> dict[str, str]:
        """The figures of the rewriting, by their labels."""
        rewritten = int((self.layers["digest"] != self.layers["new_digest"]).sum())
        saved = self.size_before - self.size_after
        facts = {
            "becomes": f"{self.to}, {self.digest}",
            "layers": f"{rewritten:,} of {len(self.layers):,} are rewritten",
            "stored": f"{text.size(self.size_before)}, then {text.size(self.size_after)}",
            "saves": f"{text.size(saved)} ({saved:,} bytes)",
        }
        if self.registry is not None:
            bound = "at most " if self.registry.at_most else ""
            facts["the registry grows by"] = (
                f"{text.size(self.registry.added_bytes)} ({self.registry.added_bytes:,} bytes)"
            )
            facts[f"then, without {self.name}"] = f"{bound}{text.size(self.registry.freed_bytes)} are freed"
        return facts

    def notes(self) -> list[str]:
        """Notes on the rewriting: what is lost, shared layers, referrers."""
        if not self.is_changed:
            return ["Nothing has to be done: the new name would be another tag on the same image."]
        notes = ["The original stays, and nothing is deleted.", *self.tree.notes]
        if any(layer.before.descriptor.annotations for layer in self._made_anew()):
            notes.append(
                "Other fields of the manifest about rewritten layers, such as an index of their files, are dropped."
            )
        if self.size_after > self.size_before:
            notes.append("The new layers take more bytes than before: the old ones were compressed better.")
        shared = int(((self.layers["shared_with"] > 0) & (self.layers["digest"] != self.layers["new_digest"])).sum())
        if shared:
            notes.append(f"Old layers that stay stored, since other images need them: {shared:,}.")
        return [*notes, "Signatures, SBOMs and other referrers of the original do not apply to the new image."]

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
    """The result of pushing a rewritten image.

    Attributes:
        name, digest: the name and digest of the new image.
        location: the location of the store that has it.
        dry_run: whether this was a dry run, which writes nothing.
        predicted_bytes: bytes of its layers, as computed before the push.
        actual_bytes: bytes of its layers, as the store reports them; None after a dry run.
    """

    name: str
    digest: Digest
    location: str
    dry_run: bool
    predicted_bytes: int
    actual_bytes: int | None

    def facts(self) -> dict[str, str]:
        """The figures of the result, by their labels."""
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
    """The `Rewriting` of a change, with its effect on the registry if there is a snapshot.

    Args:
        to: `repository:tag`, see `new_name`.

    Raises:
        InvalidInput: the snapshot does not have the image.
    """
    repository, reference = split_name(name)
    layers = _layers(tree, snap)
    registry = None if snap is None else _registry_side(snap, named(repository, reference), tree)
    return Rewriting(title, store, named(repository, reference), to, tree, layers, registry)


def new_name(image: str, to: str) -> str:
    """The full name of `to`, which is `repository:tag`, or a tag in the repository of `image`.

    Raises:
        InvalidInput: `to` is neither.
    """
    if ":" not in to and "/" not in to and "@" not in to:
        to = f"{split_name(image)[0]}:{to}"
    other, tag = split_name(to)
    if ":" in tag:
        raise InvalidInput(f"{to!r} is no tag", next_step="Write a tag, or repository:tag.")
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
