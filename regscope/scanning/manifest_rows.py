"""A manifest and its config as rows of the tables. Pure: no store, no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from regscope.schema import TABLES
from regscope.spec.annotations import CREATED
from regscope.spec.build_history import layer_line, step_line, steps_of_layers
from regscope.spec.descriptor import Descriptor
from regscope.spec.digest import Digest
from regscope.spec.image_config import History, ImageJSON, chain_ids, parse_time
from regscope.spec.manifest import ImageManifest, Index, Manifest, ManifestSchema1
from regscope.spec.media_types import is_foreign_layer
from regscope.spec.referring import stated_by_manifest

_MOST = 2**63 - 1  # the largest value of an int64 column
_KIND = [column.name for column in TABLES["manifests"]].index("kind")

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(slots=True)
class ManifestRows:
    """The table rows made from one manifest, and the children to read next."""

    digest: Digest
    rows: Rows = field(default_factory=lambda: defaultdict(list))
    children: list[Descriptor] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The manifest's kind, as in the table `manifests`."""
        return str(self.rows["manifests"][0][_KIND])

    def add(self, table: str, *row: Any) -> None:
        """Append a row to `table`; the cells are in the order of its columns."""
        self.rows[table].append(row)


def needs_config(manifest: Manifest) -> bool:
    """Whether the manifest is an image, so that its config is to be read."""
    return isinstance(manifest, ImageManifest) and manifest.artifact_type is None


def manifest_rows(
    digest: Digest, manifest: Manifest, config: ImageJSON | None = None, sizes: Sequence[int | None] = ()
) -> ManifestRows:
    """The table rows of a manifest.

    Args:
        digest: digest of the manifest.
        manifest: a manifest of any kind.
        config: an image's config, or the result of `schema1_config`; None if it could not be read.
        sizes: layer sizes of a schema 1 manifest in bytes, lowest first.
    """
    found = ManifestRows(digest)
    found.add("blobs", digest, "manifest", manifest.read_size, manifest.media_type, False)
    if manifest.is_index:
        _index(found, manifest)
    elif isinstance(manifest, ManifestSchema1):
        _schema1(found, manifest, config, sizes)
    else:
        _image(found, manifest, config)
    for referral in stated_by_manifest(digest, manifest):
        found.add("referrers", *referral)
    return found


def _index(found: ManifestRows, index: Index) -> None:
    subject = index.subject.digest if index.subject else None
    created = parse_time(index.annotations.get(CREATED))
    size = index.read_size
    found.add(
        "manifests", found.digest, index.media_type, "index", size, None, index.artifact_type, subject,
        None, None, None, created, None, None,
    )  # fmt: skip
    for child in index.children:
        platform = child.platform
        found.add(
            "platforms", found.digest, child.digest,
            platform and platform.os, platform and platform.architecture, platform and platform.variant,
            child.is_attestation,
        )  # fmt: skip
        found.children.append(child)
    for position, blob in enumerate(index.blobs):
        found.add("layers", found.digest, position, blob.digest, None, None, blob.mediaType, blob.size, None)
        found.add("blobs", blob.digest, "layer", blob.size, blob.mediaType, False)
    _annotations(found, index.annotations)


def _image(found: ManifestRows, manifest: ImageManifest, config: ImageJSON | None) -> None:
    artifact = manifest.artifact_type
    subject = manifest.subject.digest if manifest.subject else None
    created = config.created if config else parse_time(manifest.annotations.get(CREATED))
    sizes = {layer.digest: layer.size for layer in manifest.layers} | {manifest.config.digest: manifest.config.size}
    found.add(
        "manifests", found.digest, manifest.media_type, "artifact" if artifact else "image", manifest.read_size,
        manifest.config.digest, artifact, subject,
        *_platform(config), created, len(manifest.layers), _total(sizes.values()),
    )  # fmt: skip
    found.add("blobs", manifest.config.digest, "config", manifest.config.size, manifest.config.mediaType, False)
    _layers(found, manifest.layers, config)
    _labels(found, config)
    _annotations(found, manifest.annotations)


def _schema1(
    found: ManifestRows, manifest: ManifestSchema1, config: ImageJSON | None, sizes: Sequence[int | None]
) -> None:
    digests = [layer.blobSum for layer in reversed(manifest.fsLayers)]
    known = dict(zip(digests, sizes, strict=False))
    created = config.created if config else None
    found.add(
        "manifests", found.digest, manifest.media_type, "schema1", manifest.read_size, None, None, None,
        *_platform(config), created, len(digests), _total(known.values()),
    )  # fmt: skip
    steps = config.history if config else ()
    for position, digest in enumerate(digests):
        made_by = step_line(steps[position]) if position < len(steps) else None
        size = known.get(digest)
        found.add("layers", found.digest, position, digest, None, None, None, size, made_by)
        found.add("blobs", digest, "layer", size, None, False)
        if position < len(steps):
            _step(found, position, steps[position], *((None, 0) if steps[position].empty_layer else (digest, size)))
    _labels(found, config)


def _layers(found: ManifestRows, layers: Sequence[Descriptor], config: ImageJSON | None) -> None:
    diff_ids = config.rootfs.diff_ids if config else ()
    chain = chain_ids(diff_ids)
    history = config.history if config else ()
    made_by = steps_of_layers(history, len(layers))
    _history(found, layers, history, made_by)
    for position, layer in enumerate(layers):
        known = position < len(diff_ids)
        found.add(
            "layers", found.digest, position, layer.digest,
            diff_ids[position] if known else None, chain[position] if known else None,
            layer.mediaType or None, layer.size, layer_line(history, made_by[position]),
        )  # fmt: skip
        foreign = bool(layer.urls) and is_foreign_layer(layer.mediaType)
        found.add("blobs", layer.digest, "layer", layer.size, layer.mediaType or None, foreign)


def _history(
    found: ManifestRows, layers: Sequence[Descriptor], history: Sequence[History], made_by: Sequence[range]
) -> None:
    """Add the history rows; a step has a layer and a size only if it alone made the layer."""
    made: dict[int, tuple[Digest | None, int | None]] = {}
    for layer, steps in zip(layers, made_by, strict=True):
        made |= {steps[0]: (layer.digest, layer.size)} if len(steps) == 1 else dict.fromkeys(steps, (None, None))
    for number, step in enumerate(history):
        _step(found, number, step, *made.get(number, (None, 0 if step.empty_layer else None)))


def _step(found: ManifestRows, number: int, step: History, digest: Digest | None, size: int | None) -> None:
    found.add(
        "history", found.digest, number, step.created, step_line(step), step.comment,
        bool(step.empty_layer), digest, size,
    )  # fmt: skip


def _total(sizes: Iterable[int | None]) -> int | None:
    """The sum of sizes; None if one is unknown, or if the sum exceeds 64 bits: manifests may state any size."""
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total if total <= _MOST else None


def _platform(config: ImageJSON | None) -> tuple[str | None, str | None, str | None]:
    if config is None:
        return None, None, None
    return config.os or None, config.architecture or None, config.variant or None


def _labels(found: ManifestRows, config: ImageJSON | None) -> None:
    for key, value in (config.config.Labels if config else {}).items():
        found.add("labels", found.digest, "config", key, value)


def _annotations(found: ManifestRows, annotations: dict[str, str]) -> None:
    for key, value in annotations.items():
        found.add("labels", found.digest, "annotation", key, value)
