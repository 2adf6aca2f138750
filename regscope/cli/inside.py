"""A snapshot of SOURCE with the files of layers: of all images, or only of named ones."""

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
    """The repositories and tags to scan; None for all that the options select."""

    repositories: list[str] | None
    tags: list[str] | None


class OneImage(NamedTuple):
    """A snapshot with the files of one or a few images, their full names, and the chosen platform."""

    snap: Snapshot
    names: list[str]
    platform: str | None


def inside(source: Source, images: Sequence[str] = ()) -> tuple[Snapshot, list[str]]:
    """The snapshot with its files, and the full names of `images`; if images are named, only their layers are read.

    Raises:
        InvalidInput: SOURCE is a snapshot that was saved without files.
        ContentMissing: SOURCE has no such image.
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
    """As `inside`, for single images: `:latest` is the default tag, and -p chooses the image of an index."""
    if len(source.platform) > 1:
        raise click.UsageError("only one platform of an image can be read: give -p once")
    platform = source.platform[0] if source.platform else None
    named = [image if _is_exact(image) else f"{image}:latest" for image in images]
    return OneImage(*inside(replace(source, platform=()) if source.is_saved else source, named), platform)


@contextmanager
def problems_explain(snap: Snapshot) -> Iterator[None]:
    """Print the snapshot's problems before an InvalidInput about missing layers: they are its cause."""
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
    """The error for a name that is no image in a snapshot: it may be missing, or an artifact such as a Helm chart."""
    from regscope.registry.endpoint import full_name

    repository, tag, digest = split_image(image)
    tags = snap.tags[(snap.tags["repository"] == full_name(snap.location, repository)) & (snap.tags["tag"] == tag)]
    digests = {digest, *tags["digest"]}
    artifacts = snap.manifests[(snap.manifests["kind"] == "artifact") & snap.manifests["digest"].isin(digests)]
    if len(artifacts):
        kind = plain(artifacts["artifact_type"].iloc[0], 100)
        step = "Show it with `regscope image manifest`, or copy it with `regscope image copy`."
        return ContentMissing(f"{image} in {snap.location} is an artifact, {kind}, and no image", next_step=step)
    return ContentMissing(f"{snap.location} has no image {image}", next_step="List the tags: regscope tags.")
