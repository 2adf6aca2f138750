"""Which child of an index is meant, and how deep indexes are followed (OCI image-spec, image-index.md)."""

from __future__ import annotations

from collections.abc import Iterable

from regscope.errors import ContentMissing, InvalidManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.manifest import Index
from regscope.spec.platform import LINUX_AMD64, Platform

DEEPEST = 8
"""How far indexes within indexes are followed; nobody has use for more than two."""


def too_deep(name: str) -> InvalidManifest:
    """The error for indexes within indexes beyond that; `name` is what the first of them is called."""
    return InvalidManifest(
        f"{name} is an index of indexes, more than {DEEPEST} deep",
        next_step="Name one of its images by digest, or push an index that lists the images directly.",
    )


def child_for(index: Index, platform: Platform, name: str) -> Descriptor:
    """The child of an index that fits `platform` best; of several for the same one the first.

    Raises:
        ContentMissing: there is none; `name` is what the index is called.
    """
    fitting = best_children(index.manifests, platform)
    if not fitting:
        raise ContentMissing(
            f"{name} has no image for {platform}", next_step=f"It is there for: {platforms_of(index)}."
        )
    return fitting[0]


def best_children(children: Iterable[Descriptor], platform: Platform) -> list[Descriptor]:
    """Those that fit `platform` best (see `Platform.distance`): several where they are for the same one.

    Where none fits, an image that an index names without a platform is for linux/amd64, as crane and skopeo have it.
    """
    listed = list(children)
    distances = [(platform.distance(child.platform) if child.platform else None, child) for child in listed]
    nearest = min((distance for distance, _ in distances if distance is not None), default=None)
    if nearest is None and platform.covers(LINUX_AMD64):
        return [child for child in listed if child.platform is None and child.is_image]
    return [child for distance, child in distances if distance is not None and distance == nearest]


def platforms_of(index: Index) -> str:
    """The platforms that an index names, for a message."""
    return ", ".join(str(child.platform) for child in index.manifests if child.platform) or "none"
