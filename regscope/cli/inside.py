"""From SOURCE to a snapshot with the files of its layers: of all images, or of those alone that are named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import click

from regscope.cli.output import finish
from regscope.cli.source import Source
from regscope.errors import ContentMissing, InvalidInput
from regscope.spec.reference import split_image
from regscope.text import plain

if TYPE_CHECKING:
    from regscope.tables import Snapshot


class Scope(NamedTuple):
    """What of a store is scanned; None is everything that the options let through."""

    repositories: list[str] | None
    tags: list[str] | None


class OneImage(NamedTuple):
    """A snapshot with the files of one image, or a few: their whole names, and the platform that is meant."""

    snap: Snapshot
    names: list[str]
    platform: str | None


def inside(source: Source, images: Sequence[str] = ()) -> tuple[Snapshot, list[str]]:
    """The snapshot with its files, and the whole names of `images`; where some are named, only their layers are opened.

    Raises:
        InvalidInput: it is a snapshot that was saved without files.
        ContentMissing: there is no such image.
    """
    from regscope.scanning.files import scan_files

    if source.is_saved:
        snap = source.saved()
        if snap.unpacked.empty and len(snap.layers):
            raise InvalidInput(
                f"{source.source} was saved without files",
                next_step=f"Save it with them: regscope scan {snap.location} --files --save {source.source}",
            )
        return snap, _whole_names(snap, images)
    store = source.store()
    snap = source.scan(store, *_scope(images))
    names = _whole_names(snap, images)
    return scan_files(snap, store, images=names or None), names


def inside_of(source: Source, *images: str) -> OneImage:
    """The same for images of which each must be one: `:latest` is understood, and -p says which of an index."""
    if len(source.platform) > 1:
        raise click.UsageError("an image is looked at for one platform: give -p once")
    platform = source.platform[0] if source.platform else None
    named = [image if _is_exact(image) else f"{image}:latest" for image in images]
    return OneImage(*inside(replace(source, platform=()) if source.is_saved else source, named), platform)


@contextmanager
def problems_explain(snap: Snapshot) -> Iterator[None]:
    """Where an image lacks layers, what kept them from being read says more than that they are missing."""
    try:
        yield
    except InvalidInput:
        finish(snap)
        raise


def _is_exact(image: str) -> bool:
    _, tag, digest = split_image(image)
    return bool(tag or digest)


def _scope(images: Sequence[str]) -> Scope:
    if any(_is_digest(image) for image in images):
        return Scope(None, None)
    parts = [split_image(image) for image in images]
    repositories = list(dict.fromkeys(repository for repository, _, _ in parts))
    tags = list(dict.fromkeys(tag for _, tag, digest in parts if tag and not digest))
    return Scope(repositories or None, tags if all(tag and not digest for _, tag, digest in parts) else None)


def _is_digest(image: str) -> bool:
    return image.startswith(("sha256:", "sha512:"))


def _whole_names(snap: Snapshot, images: Sequence[str]) -> list[str]:
    from regscope.analysis.reference_graph import ReferenceGraph
    from regscope.analysis.selection import select
    from regscope.registry.endpoint import full_name

    names = [image if _is_digest(image) else full_name(snap.location, image) for image in images]
    graph = ReferenceGraph(snap)
    for image, name in zip(images, names, strict=True):
        try:
            select(graph, name)
        except InvalidInput:
            finish(snap)
            raise no_such_image(snap, image) from None
    return names


def no_such_image(snap: Snapshot, image: str) -> ContentMissing:
    """The error for what is no image in a snapshot: it may be an artifact, such as a Helm chart."""
    from regscope.registry.endpoint import full_name

    repository, tag, digest = split_image(image)
    tags = snap.tags[(snap.tags["repository"] == full_name(snap.location, repository)) & (snap.tags["tag"] == tag)]
    digests = {digest, *tags["digest"]}
    artifacts = snap.manifests[(snap.manifests["kind"] == "artifact") & snap.manifests["digest"].isin(digests)]
    if len(artifacts):
        kind = plain(artifacts["artifact_type"].iloc[0], 100)
        step = "`regscope image manifest` shows it, and `regscope image copy` copies it."
        return ContentMissing(f"{image} in {snap.location} is an artifact, {kind}, and no image", next_step=step)
    return ContentMissing(f"{snap.location} has no image {image}", next_step="`regscope tags` lists what there is.")
