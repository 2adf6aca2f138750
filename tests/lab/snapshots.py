"""Small registries made by hand: a few images, and every figure can be worked out on paper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from regscope.spec.digest import Digest
from regscope.spec.image_config import chain_ids
from regscope.tables import Snapshot
from tests.lab.drawn_snapshots import NOW, digest

MANIFEST_SIZE, CONFIG_SIZE = 10, 7


def empty() -> Snapshot:
    """A registry with nothing in it."""
    return Snapshot.from_rows({}, location="nothing", taken_at=NOW, sees_untagged=True)


class Registry:
    """Images by name over layers by name. A layer is `name` or `name=instruction`; its size is in `sizes`, else 1."""

    def __init__(self, taken_at: datetime = NOW, **sizes: int | None) -> None:
        self.taken_at, self.sizes = taken_at, sizes
        self.foreign: set[str] = set()
        self.rows: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.blobs: dict[str, tuple[Any, ...]] = {}

    def image(
        self,
        name: str,
        layers: Sequence[str],
        *tags: str,
        created: datetime | None = NOW,
        platform: str = "linux/amd64",
        more_steps: int = 0,
        kind: str = "image",
        chained: int | None = None,
    ) -> str:
        """Add an image, or an artifact; only the first `chained` layers have a DiffID (default: all); its digest."""
        found, config = digest(name), None if kind == "schema1" else digest(f"config of {name}")
        split = [layer.partition("=") for layer in layers]
        blobs = [digest(layer) for layer, _, _ in split]
        sizes = [self.sizes.get(layer, 1) for layer, _, _ in split]
        known = len(layers) if chained is None else chained
        diff_ids: list[Any] = [Digest.of(f"diff of {blob}".encode()) for blob in blobs[:known]]
        missing = [None] * (len(layers) - known)
        chain = [*chain_ids(diff_ids), *missing]
        diff_ids += missing
        distinct = dict(zip(blobs, sizes, strict=True)).values()
        image_size = None if None in distinct else sum(size or 0 for size in distinct) + CONFIG_SIZE
        os, architecture, variant = (*platform.split("/"), None, None, None)[:3]
        self.rows["manifests"].append(
            (found, "m", kind, MANIFEST_SIZE, config, "sbom" if kind == "artifact" else None, None,
             os or None, architecture, variant, created, len(layers), image_size)
        )  # fmt: skip
        self._blob(found, "manifest", MANIFEST_SIZE)
        if config:
            self._blob(config, "config", CONFIG_SIZE)
        for position, (layer, is_known, instruction) in enumerate(split):
            made_by = instruction if is_known else None
            self.rows["layers"].append(
                (found, position, blobs[position], diff_ids[position], chain[position], "l", sizes[position], made_by)
            )
            self.rows["history"].append((found, position, created, made_by, None, False, blobs[position], 0))
            self._blob(blobs[position], "layer", sizes[position], foreign=layer in self.foreign)
        for step in range(len(layers), len(layers) + more_steps):
            self.rows["history"].append((found, step, created, "ENV A=b", None, True, None, 0))
        self.tag(found, *tags)
        return found

    def index(self, name: str, children: Sequence[str], *tags: str, created: datetime | None = None) -> str:
        """Add an index of manifests by digest."""
        found = digest(name)
        self.rows["manifests"].append(
            (found, "i", "index", MANIFEST_SIZE, None, None, None, None, None, None, created, None, None)
        )
        self._blob(found, "manifest", MANIFEST_SIZE)
        self.rows["platforms"] += [(found, child, None, None, None, False) for child in children]
        self.tag(found, *tags)
        return found

    def tag(self, manifest: str, *tags: str) -> None:
        """Name a manifest, `repository:tag`; its repository keeps it."""
        for name in tags:
            repository, _, tag = name.partition(":")
            self.rows["tags"].append((repository, tag, manifest, None, None, None))
            self.place(repository, manifest, "tag")

    def place(self, repository: str, manifest: str, found: str = "index child") -> None:
        """Put a manifest into a repository."""
        if (repository, manifest) not in {row[:2] for row in self.rows["placements"]}:
            self.rows["placements"].append((repository, manifest, found, None, False, None))

    def snapshot(self) -> Snapshot:
        """The tables."""
        return Snapshot.from_rows(
            {**self.rows, "blobs": self.blobs.values()}, location="made", taken_at=self.taken_at, sees_untagged=True
        )

    def _blob(self, blob: str, kind: str, size: int | None, *, foreign: bool = False) -> None:
        self.blobs.setdefault(blob, (blob, kind, size, "b", foreign))
