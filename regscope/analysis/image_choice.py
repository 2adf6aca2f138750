"""The image that a name refers to; for an index, the image for a platform."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.selection import select
from regscope.arrays import distinct
from regscope.errors import InvalidInput
from regscope.spec.platform import Platform
from regscope.tables import Snapshot
from regscope.text import plain


@dataclass(frozen=True)
class Choice:
    """An image and its platform."""

    digest: str
    platform: Platform


def choose_one(snap: Snapshot, image: str, platform: str | None = None) -> str:
    """The digest of the image that a name refers to.

    Args:
        image: `repository:tag`, `repository@digest` or a digest.
        platform: the platform to take of an index, such as `linux/arm64`.

    Raises:
        InvalidInput: `image` names no image, or several.
        InvalidPlatform: `platform` is not a platform.
    """
    choices = _choices(ReferenceGraph(snap), image)
    if platform is not None:
        return _only(choices, Platform.parse(platform), image).digest
    if len(choices) > 1:
        raise InvalidInput(
            f"{image!r} names {len(choices)} images",
            next_step=f"Give the digest of one of them, or one of the platforms: {_platforms(choices)}.",
        )
    return choices[0].digest


def choose_two(snap: Snapshot, a: str, b: str, platform: str | None = None) -> tuple[Choice, Choice]:
    """The images that `a` and `b` name, for one platform: `platform`, by default the only one that both have.

    If both names have one image each, their platforms may differ.

    Raises:
        InvalidInput: a name refers to no image, or to several; or both have several platforms in common, or none.
        InvalidPlatform: `platform` is not a platform.
    """
    graph = ReferenceGraph(snap)
    ours, theirs = _choices(graph, a), _choices(graph, b)
    if platform is not None:
        wanted = Platform.parse(platform)
        return _only(ours, wanted, a), _only(theirs, wanted, b)
    if len(ours) == len(theirs) == 1:
        return ours[0], theirs[0]
    pairs = [(one, other) for one in ours for other in theirs if _same(one.platform, other.platform)]
    if len(pairs) != 1:
        common = ", ".join(sorted({str(one.platform) for one, _ in pairs}))
        raise InvalidInput(
            f"{a!r} and {b!r} both have {common}" if pairs else f"{a!r} and {b!r} have no platform in common",
            next_step="Give one of them as the platform." if pairs else "Give the digests of two images.",
        )
    return pairs[0]


def _same(one: Platform, other: Platform) -> bool:
    return one.covers(other) or other.covers(one)


def _only(choices: list[Choice], wanted: Platform, name: str) -> Choice:
    distances = [(wanted.distance(choice.platform), choice) for choice in choices]
    nearest = min((distance for distance, _ in distances if distance is not None), default=None)
    fitting = [choice for distance, choice in distances if distance is not None and distance == nearest]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InvalidInput(f"{name!r} has several images for {wanted}", next_step=f"Give one of {_platforms(fitting)}.")
    raise InvalidInput(f"{name!r} has no image for {wanted}", next_step=f"Give one of {_platforms(choices)}.")


def _platforms(choices: list[Choice]) -> str:
    return ", ".join(str(choice.platform) or "an unknown platform" for choice in choices)


def _choices(graph: ReferenceGraph, name: str) -> list[Choice]:
    """The images that a name refers to, directly or through an index."""
    tags, nodes = select(graph, name)
    named = graph.tag_node[tags & (graph.tag_node >= 0)] if tags.any() else np.flatnonzero(nodes)
    manifests = distinct(graph.node_manifest[named])
    if len(manifests) > 1:
        raise InvalidInput(
            f"{name!r} names {len(manifests)} manifests", next_step="Give repository:tag or the digest of one of them."
        )
    _, found = graph.children.closure(named)
    about = graph.snap.manifests.iloc[distinct(graph.node_manifest[found])]
    about = about[graph.snap.is_image.reindex(about.index)]
    parts = zip(*(about[name].tolist() for name in ("digest", "os", "architecture", "variant")), strict=True)
    choices = [
        Choice(digest, Platform(os=_known(os), architecture=_known(architecture), variant=_known(variant) or None))
        for digest, os, architecture, variant in parts
    ]
    if not choices:
        raise no_image(graph.snap, graph.manifests[manifests], name)
    return sorted(choices, key=lambda choice: (str(choice.platform), choice.digest))


def no_image(snap: Snapshot, digests: Collection[str], name: str) -> InvalidInput:
    """The error for a name that refers to no image; it may refer to an artifact, such as a Helm chart."""
    about = snap.manifests[snap.manifests["digest"].isin(digests) & (snap.manifests["kind"] == "artifact")]
    if len(about):
        kind = plain(about["artifact_type"].iloc[0], 100)
        return InvalidInput(f"{name!r} is an artifact, {kind}, not an image", next_step="Give the name of an image.")
    return InvalidInput(
        f"{name!r} names no image that could be read",
        next_step="Give an image or an index of images, as repository:tag or by its digest.",
    )


def _known(text: object) -> str:
    return text if isinstance(text, str) else ""
