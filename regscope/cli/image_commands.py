"""`regscope image`: shows or changes one image; and `regscope repo`."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

import click

from regscope.cli.asking import make_sure, say_when_bytes_come_back, yes_option
from regscope.cli.source import Source, opens_source
from regscope.errors import InvalidInput
from regscope.spec.json_forms import readable
from regscope.spec.reference import check_tag, split_image
from regscope.text import plain

if TYPE_CHECKING:
    from regscope.spec.digest import Digest
    from regscope.spec.manifest import Manifest
    from regscope.stores.content_store import ContentStore

_PLATFORM = click.option(
    "-p", "--platform", default="linux/amd64", show_default=True, help="The image of an index, by its platform."
)


@click.group()
def image() -> None:
    """Show, copy, change, tag or delete one IMAGE (repository:tag or repository@digest)."""


@click.group()
def repo() -> None:
    """List repositories."""


@repo.command("ls")
@opens_source
def repo_ls(source: Source) -> None:
    """List the repositories of SOURCE."""
    for name in source.store().repositories():
        click.echo(plain(name))


@image.command("ls")
@opens_source
@click.argument("repository")
def image_ls(source: Source, repository: str) -> None:
    """List the tags of a repository."""
    for tag in source.store().tags(repository):
        click.echo(plain(tag))


@image.command()
@opens_source
@click.argument("image")
def digest(source: Source, image: str) -> None:
    """Print the current digest of IMAGE."""
    click.echo(_named(source.store(), image)[1])


@image.command()
@opens_source
@click.argument("image")
def manifest(source: Source, image: str) -> None:
    """Print the manifest or index of IMAGE, byte for byte."""
    store = source.store()
    sys.stdout.buffer.write(store.manifest(*_named(store, image)).raw)


@image.command()
@opens_source
@click.argument("image")
@_PLATFORM
def config(source: Source, image: str, platform: str) -> None:
    """Print the config of IMAGE, byte for byte."""
    store = source.store()
    repository, found = _named(store, image)
    sys.stdout.buffer.write(_config(store, repository, _image(store, repository, found, platform)))


@image.command()
@opens_source
@click.argument("image")
@_PLATFORM
def inspect(source: Source, image: str, platform: str) -> None:
    """Print IMAGE as JSON: digest, platform, layers, labels, environment, entrypoint and command."""
    from regscope.spec.image_config import parse_image_config
    from regscope.spec.manifest import ImageManifest

    store = source.store()
    repository, found = _named(store, image)
    chosen = _image(store, repository, found, platform)
    parsed = parse_image_config(_config(store, repository, chosen))
    layers = chosen.layers if isinstance(chosen, ImageManifest) else ()
    described = {
        "repository": repository,
        "digest": found,
        "media_type": chosen.media_type,
        "manifest": chosen.digest,
        "platform": "/".join(filter(None, [parsed.os, parsed.architecture, parsed.variant])),
        "created": parsed.created.isoformat() if parsed.created else None,
        "size": sum(layer.size for layer in layers),
        "layers": [{"digest": layer.digest, "size": layer.size, "media_type": layer.mediaType} for layer in layers],
        "labels": parsed.config.Labels,
        "env": list(parsed.config.Env or ()),
        "entrypoint": list(parsed.config.Entrypoint or ()),
        "cmd": list(parsed.config.Cmd or ()),
    }
    click.echo(readable(described))


@image.command()
@opens_source
@click.argument("image")
@click.option("--type", "artifact_type", metavar="TYPE", help="Only artifacts of this type.")
def referrers(source: Source, image: str, artifact_type: str | None) -> None:
    """List the referrers of IMAGE, such as signatures, SBOMs and attestations: digest and artifact type."""
    from regscope.images.referring import referrers_of

    store = source.store()
    repository, found = _named(store, image)
    for entry in referrers_of(store, repository, found, store.tags(repository)):
        if artifact_type in (None, entry.artifact_type):
            click.echo(f"{entry.digest}  {plain(entry.artifact_type or 'no artifact type', 200)}")


@image.command()
@opens_source
@click.argument("image")
@click.argument("new_tag")
@click.option("--overwrite", is_flag=True, help="Move NEW_TAG if it points to another manifest.")
def tag(source: Source, image: str, new_tag: str, overwrite: bool) -> None:
    """Add a tag to IMAGE in its repository; the manifest is the same, byte for byte."""
    from regscope.stores.destination import Name, check_names
    from regscope.stores.open_destination import open_destination

    store = source.fresh_store()
    place = open_destination(store)
    repository, found = _named(store, image)
    check_names(place, [Name(repository, check_tag(new_tag), found)], overwrite)
    place.take_manifest(repository, new_tag, store.manifest(repository, found))
    place.close()
    click.echo(f"{repository}:{new_tag} is {found}")


@image.command()
@opens_source
@click.argument("image")
@yes_option
def untag(source: Source, image: str, yes: bool) -> None:
    """Remove the tag of IMAGE; the image and its other tags are kept."""
    from regscope.stores.removal import open_removal

    repository, name, _ = _parts(image)
    if name is None:
        raise InvalidInput(f"{image} names no tag", next_step="Write repository:tag.")
    place = open_removal(source.fresh_store())
    make_sure(f"Remove the tag {repository}:{name}?", yes)
    place.untag(repository, name)
    click.echo(f"{repository}:{name} was removed")


@image.command()
@opens_source
@click.argument("image")
@yes_option
def delete(source: Source, image: str, yes: bool) -> None:
    """Delete the manifest of IMAGE and every tag on it; the tags are listed in the question before.

    A manifest that belongs to an index is not deleted.
    """
    from regscope.images.dependents import dependents_of
    from regscope.stores.removal import open_removal

    store = source.fresh_store()
    place = open_removal(store)
    repository, found = _named(store, image)
    lost, indexes = dependents_of(store, repository, found)
    if indexes:
        raise InvalidInput(
            f"{found} belongs to {', '.join(indexes)} in {repository}: deleting it would break the index",
            next_step="Delete the index first, or replace it by one without this manifest: regscope image index.",
        )
    named = plain(", ".join(lost)) or "no tag"
    make_sure(f"Delete {found} from {repository}, and with it {named}?", yes)
    if not yes and dependents_of(store, repository, found) != (lost, []):
        raise InvalidInput(
            f"the tags of {repository} have changed since the question; nothing was deleted",
            next_step="Run the command again.",
        )
    place.delete_manifest(repository, found)
    click.echo(f"{found} was deleted, and with it {named}")
    say_when_bytes_come_back(place)


def _parts(image: str) -> tuple[str, str | None, str]:
    """The repository, the tag, and the reference to resolve: the digest, the tag, or `latest`."""
    repository, name, named = split_image(image)
    if not repository or image.endswith((":", "@")):
        raise InvalidInput(f"{image!r} is no image", next_step="Write repository:tag or repository@sha256:….")
    return repository, name, named or name or "latest"


def _named(store: ContentStore, image: str) -> tuple[str, Digest]:
    from regscope.spec.digest import Digest

    repository, _, reference = _parts(image)
    return repository, Digest(reference) if ":" in reference else store.resolve(repository, reference)


def _image(store: ContentStore, repository: str, found: Digest, platform: str) -> Manifest:
    """The manifest; of an index, the child for `platform`."""
    from regscope.registry.manifest_reader import image_below
    from regscope.spec.platform import Platform

    read = functools.partial(store.manifest, repository)
    return image_below(read(found), Platform.parse(platform), f"{repository}@{found}", read).parse()


def _config(store: ContentStore, repository: str, image: Manifest) -> bytes:
    from regscope.registry.responses import METADATA_LIMIT
    from regscope.spec.manifest import ImageManifest

    if not isinstance(image, ImageManifest):
        raise InvalidInput(f"{repository}@{image.digest} is {image.media_type}, which has no config")
    return store.read_blob(repository, image.config.digest, METADATA_LIMIT)
