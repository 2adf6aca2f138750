"""The child of an index for a platform, and how deep nested indexes are followed (OCI image-spec, image-index.md)."""

from __future__ import annotations

from collections.abc import Iterable

from regscope.errors import ContentMissing, InvalidManifest
from regscope.spec.descriptor import Descriptor
from regscope.spec.manifest import Index
from regscope.spec.platform import LINUX_AMD64, Platform

DEEPEST = 8
"""The levels of nested indexes that are followed; in practice there are at most two."""


def too_deep(name: str) -> InvalidManifest:
    """The error for indexes that are nested deeper than `DEEPEST`; `name` is the name of the outermost one."""
    return InvalidManifest(
        f"{name} is an index of indexes, more than {DEEPEST} deep",
        next_step="Name one of its images by digest, or push an index that lists the images directly.",
    )


def child_for(index: Index, platform: Platform, name: str) -> Descriptor:
    """The child of an index that fits `platform` best; the first of several for the same platform.

    Args:
        name: the name of the index, for the error.

    Raises:
        ContentMissing: the index has no child for `platform`.
    """
    fitting = best_children(index.manifests, platform)
    if not fitting:
        raise ContentMissing(
            f"{name} has no image for {platform}", next_step=f"Choose one of its platforms: {platforms_of(index)}."
        )
    return fitting[0]


def best_children(children: Iterable[Descriptor], platform: Platform) -> list[Descriptor]:
    """The children that fit `platform` best (see `Platform.distance`): several where they have the same platform.

    Where none fits, images that the index lists without a platform are taken for linux/amd64, as crane and skopeo do.
    """
    listed = list(children)
    distances = [(platform.distance(child.platform) if child.platform else None, child) for child in listed]
    nearest = min((distance for distance, _ in distances if distance is not None), default=None)
    if nearest is None and platform.covers(LINUX_AMD64):
        return [child for child in listed if child.platform is None and child.is_image]
    return [child for distance, child in distances if distance is not None and distance == nearest]


def platforms_of(index: Index) -> str:
    """The platforms of an index, as text for a message."""
    return ", ".join(str(child.platform) for child in index.manifests if child.platform) or "none"
