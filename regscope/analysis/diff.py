"""Comparison of two images: files, packages, config, history and layers, with sizes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from regscope import text
from regscope.analysis.documented import documented
from regscope.analysis.file_changes import FILE_CHANGES, file_changes
from regscope.analysis.final_tree import final_files
from regscope.analysis.image_choice import Choice, choose_two
from regscope.analysis.layer_stacks import check_were_read
from regscope.analysis.package_changes import PACKAGE_CHANGES, package_changes, packages_of
from regscope.analysis.sizes import image_layers
from regscope.errors import InvalidInput
from regscope.schema import Column, make_table, recast, table_of
from regscope.snapshot_argument import takes_snapshot
from regscope.spec.instructions import normalised
from regscope.tables import Snapshot

_HELD_BY = pd.CategoricalDtype(pd.Index(["both", "a", "b"], dtype="str"))
_STEP_CHANGES = pd.CategoricalDtype(pd.Index(["removed", "added", "rebuilt"], dtype="str"))
_SHOWN = 10


CONFIG_CHANGES = (
    Column("key", "str", "`os`, `architecture`, `variant`, `media_type`, `created`, `label KEY` or `annotation KEY`"),
    Column("before", "str", "value in image `a`; absent if not set"),
    Column("after", "str", "value in image `b`; absent if not set"),
)

STEP_CHANGES = (
    Column("change", "category", "removed, added, or rebuilt: the same instruction made a different layer"),
    Column("instruction", "str", "normalised build instruction"),
    Column("step_before", "Int64", "position in the history of `a`, from 0; absent for an added step"),
    Column("step_after", "Int64", "position in the history of `b`, from 0; absent for a removed step"),
    Column("size_before", "Int64", "size of the step's layer in `a`, as stored", "bytes"),
    Column("size_after", "Int64", "size of the step's layer in `b`, as stored", "bytes"),
)

LAYER_CHANGES = (
    Column("blob_digest", "str", "digest of the layer as stored"),
    Column("held_by", "category", "which image has the layer: both, a or b"),
    Column("size", "Int64", "size as stored (compressed); absent if unknown", "bytes"),
    Column("created_by", "str", "build instruction that made the layer; absent if unknown"),
)


@documented(
    files=FILE_CHANGES, packages=PACKAGE_CHANGES, config=CONFIG_CHANGES, history=STEP_CHANGES, layers=LAYER_CHANGES
)
@dataclass(frozen=True, repr=False, eq=False)
class Diff:
    """The differences from image `a` to image `b`. Sizes are bytes.

    Attributes:
        a: digest of the image before.
        b: digest of the image after.
        names: the names of both as given to `diff`.
        platforms: the platforms of both, such as `linux/amd64`.
        files: paths that were added or removed, or whose content or attributes differ, largest first:

            {files}
        packages: packages that were added or removed, or whose version differs, by manager and name:

            {packages}
        config: differences of platform, media type, creation time, labels and annotations:

            {config}
        history: build steps that differ, by normalised instruction, in order:

            {history}
        layers: the distinct layers of both images, lowest first:

            {layers}
        size_before: size of the config and distinct layers of `a`, as stored; None if unknown.
        size_after: the same of `b`.
        shared_bytes: size of the layers that both images have, as stored.
        unread: why files and packages were not compared (both tables are then empty); empty if they were compared.
    """

    a: str
    b: str
    names: tuple[str, str]
    platforms: tuple[str, str]
    files: pd.DataFrame
    packages: pd.DataFrame
    config: pd.DataFrame
    history: pd.DataFrame
    layers: pd.DataFrame
    size_before: int | None
    size_after: int | None
    shared_bytes: int
    unread: str

    def facts(self) -> dict[str, str]:
        """The result as labelled lines of text."""
        held = self.layers["held_by"].value_counts()
        known = not self.unread
        return {
            "platform": " → ".join(dict.fromkeys(name or "unknown" for name in self.platforms)),
            "size": self._sizes(),
            "layers": f"{held['both']:,} shared ({text.size(self.shared_bytes)}), {held['a']:,} only before, "
            f"{held['b']:,} only after",
            "files": _counts(self.files["change"]) if known else text.ABSENT,
            "files grow by": text.size(int(self.files["growth"].sum())) if known else text.ABSENT,
            "packages": _counts(self.packages["change"]) if known else text.ABSENT,
            "build steps": _counts(self.history["change"]),
            "config": text.count(len(self.config), "difference"),
        }

    def notes(self) -> list[str]:
        """Remarks on the limits of the result."""
        if self.a == self.b:
            return ["Both are the same image."]
        if self.unread:
            return [f"Files and packages were not compared: {self.unread}"]
        return []

    def _sizes(self) -> str:
        sizes = f"{text.size(self.size_before)} → {text.size(self.size_after)}"
        if self.size_before is None or self.size_after is None:
            return sizes
        growth = self.size_after - self.size_before
        return f"{sizes} ({'+' if growth >= 0 else ''}{text.size(growth)})"

    def _title(self) -> str:
        return " → ".join(text.plain(name, 100) for name in self.names)

    def __repr__(self) -> str:
        return text.facts(self._title(), self.facts(), self.notes())

    def _repr_html_(self) -> str:
        shown = self.files.head(_SHOWN)
        before, after = (shown[column].map(text.size) for column in ("size_before", "size_after"))
        rows = list(zip(shown["path"], shown["change"], before, after, shown["differs"], strict=True))
        columns = ("path", "change", "before", "after", "differs") if rows else ()
        return text.card(self._title(), self.facts(), self.notes(), columns, rows)


@takes_snapshot
def diff(snap: Snapshot, a: str, b: str, *, platform: str | None = None) -> Diff:
    """The differences from image `a` to image `b`: files, packages, config, history and layers.

    Args:
        snap: a snapshot with files (see `scan_files`); without files, files and packages are not compared.
        a: the image before: `repository:tag`, `repository@digest` or a digest.
        b: the image after, in the same forms.
        platform: `os/architecture[/variant]` for images of several platforms; by default the one that both have.

    Raises:
        InvalidInput: `a` or `b` names no image, or several; or a platform must be given to choose one.
        InvalidPlatform: `platform` is not a platform.
    """
    before, after = choose_two(snap, a, b, platform)
    rows = image_layers(snap)
    rows = rows[rows["digest"].isin([before.digest, after.digest])]
    files, packages, unread = _contents(snap, rows, before.digest, after.digest)
    layers = _layers(rows, before.digest, after.digest)
    sizes = snap.manifests.set_index(snap.manifests["digest"].astype("str"))["image_size"]
    return Diff(
        a=before.digest,
        b=after.digest,
        names=(a, b),
        platforms=(str(before.platform), str(after.platform)),
        files=files,
        packages=packages,
        config=_config(snap, before, after),
        history=_history(snap, before.digest, after.digest),
        layers=layers,
        size_before=_known(sizes[before.digest]),
        size_after=_known(sizes[after.digest]),
        shared_bytes=int(layers.loc[layers["held_by"] == "both", "size"].sum()),
        unread=unread,
    )


def _contents(snap: Snapshot, layers: pd.DataFrame, a: str, b: str) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The changes of files and of packages; if a layer was not read, both tables are empty and the reason is given."""
    try:
        check_were_read(snap, layers)
        trees = [final_files(snap, image) for image in (a, b)]
    except InvalidInput as error:
        files, packages = (table.copy() for table in _no_contents())
        return files, packages, f"{error.message}. {error.next_step}"
    return file_changes(*trees), package_changes(*(packages_of(snap, tree) for tree in trees)), ""


@cache
def _no_contents() -> tuple[pd.DataFrame, pd.DataFrame]:
    files, packages = make_table("files", ()), make_table("packages", ()).astype("str")
    return file_changes(files, files), package_changes(packages, packages)


def _known(size: Any) -> int | None:
    return None if pd.isna(size) else int(size)


def _counts(changes: pd.Series[Any]) -> str:
    """The number of changes of each category, in the categories' order, such as `3 added, 1 removed`."""
    words = {"content": "with other content", "attributes": "with other attributes"}
    counted = {str(change): number for change, number in changes.value_counts().sort_index().items() if number}
    return ", ".join(f"{number:,} {words.get(change, change)}" for change, number in counted.items()) or "no difference"


def _layers(layers: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """The distinct layers of both images, lowest first."""
    ours, theirs = (set(layers.loc[layers["digest"] == image, "blob_digest"]) for image in (a, b))
    table = layers.sort_values(["position", "blob_digest"]).drop_duplicates("blob_digest").reset_index(drop=True)
    in_a, in_b = table["blob_digest"].isin(ours), table["blob_digest"].isin(theirs)
    held_by = pd.Categorical(np.select([in_a & in_b, in_a], ["both", "a"], "b"), dtype=_HELD_BY)
    return recast(LAYER_CHANGES, table.assign(held_by=held_by))


def _config(snap: Snapshot, before: Choice, after: Choice) -> pd.DataFrame:
    """The differences of the settings in both configs and manifests that the tables hold."""
    ours, theirs = (_settings(snap, choice.digest) for choice in (before, after))
    keys = [key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key)]
    return table_of(CONFIG_CHANGES, [(key, ours.get(key), theirs.get(key)) for key in keys])


def _settings(snap: Snapshot, image: str) -> dict[str, str]:
    manifest = snap.manifests[snap.manifests["digest"] == image].iloc[0]
    named = {key: manifest[key] for key in ("os", "architecture", "variant", "media_type")}
    named["created"] = manifest["created"].isoformat() if pd.notna(manifest["created"]) else None
    labels = snap.labels.loc[snap.labels["digest"] == image, ["source", "key", "value"]]
    words = {"config": "label", "annotation": "annotation"}
    for source, key, value in sorted(labels.itertuples(index=False, name=None), key=itemgetter(0, 1)):
        named[f"{words.get(source, source)} {key}"] = value
    return {key: str(value) for key, value in named.items() if pd.notna(value)}


def _history(snap: Snapshot, a: str, b: str) -> pd.DataFrame:
    """Steps that only one image has, or whose layers differ; of equal instructions the nth is compared to the nth."""
    ours, theirs = (_steps(snap, image) for image in (a, b))
    changes: list[tuple[int, str, str, _Step, _Step]] = []
    for instruction, nth in dict.fromkeys([*ours, *theirs]):
        before, after = (steps.get((instruction, nth), _NO_STEP) for steps in (ours, theirs))
        if before is _NO_STEP:
            changes.append((after.step, "added", instruction, before, after))
        elif after is _NO_STEP:
            changes.append((before.step, "removed", instruction, before, after))
        elif before.blob and after.blob and before.blob != after.blob:
            changes.append((before.step, "rebuilt", instruction, before, after))
    order = list(_STEP_CHANGES.categories)
    changes.sort(key=lambda change: (change[0], order.index(change[1])))
    rows = [
        (
            change,
            instruction,
            None if before is _NO_STEP else before.step,
            None if after is _NO_STEP else after.step,
            before.size,
            after.size,
        )
        for _, change, instruction, before, after in changes
    ]
    table = table_of(STEP_CHANGES, rows)
    return table.assign(change=table["change"].cat.set_categories(order))


class _Step(NamedTuple):
    """A build step; `blob` is the digest of its layer, empty if it made none."""

    step: int
    blob: str
    size: int | None


_NO_STEP = _Step(-1, "", None)


def _steps(snap: Snapshot, image: str) -> dict[tuple[str, int], _Step]:
    """The steps of an image in order; the key is the normalised instruction and its number among equal ones, from 0."""
    rows = snap.history.loc[snap.history["digest"] == image, ["step", "created_by", "blob_digest", "size"]]
    seen: Counter[str] = Counter()
    steps = {}
    for step, line, blob, size in sorted(rows.itertuples(index=False, name=None), key=itemgetter(0)):
        instruction = normalised(line if isinstance(line, str) else "")
        steps[instruction, seen[instruction]] = _Step(step, blob if isinstance(blob, str) else "", _known(size))
        seen[instruction] += 1
    return steps
