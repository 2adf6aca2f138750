"""`regscope image append`, `mutate`, `rebase`, `flatten`, `recompress`, `convert`, `index` and `attach`."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from regscope.cli.completion import locations
from regscope.cli.copy_commands import open_target
from regscope.cli.source import Source, opens_source
from regscope.errors import InvalidInput
from regscope.stores.kinds import WRITABLE, listed

if TYPE_CHECKING:
    from regscope.images.image import Image

Command = TypeVar("Command", bound=Callable[..., Any])

_PLATFORM = click.option(
    "-p", "--platform", default="linux/amd64", show_default=True, help="Of an index, the image for this one."
)
_TO = click.option("--to", required=True, metavar="NAME", help="What the new image is called: repository:tag.")
_TARGET = click.option(
    "--target",
    shell_complete=locations(WRITABLE),
    help=f"Where it goes: {listed(WRITABLE)}; SOURCE by default.",
)
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Let NAME be moved where it means something else already.")
_PAIR = "NAME=VALUE"


def _changes(command: Command) -> Command:
    """Give a command that changes an image SOURCE, IMAGE, and where the outcome goes; it gets `image: Image`."""

    @functools.wraps(command)
    def with_image(
        *, source: Source, image: str, platform: str, to: str, target: str | None, overwrite: bool, **arguments: Any
    ) -> None:
        from regscope.images.image import Image

        store = source.store()

        def read(name: str) -> Image:
            return Image.read(store, name, platform)

        changed: Image = command(image=read(image), read=read, **arguments)
        click.echo(f"{to}  {changed.write_to(open_target(source, target or source.source), to, overwrite=overwrite)}")

    wrapped: Any = with_image
    for option in (_OVERWRITE, _TARGET, _TO, _PLATFORM, click.argument("image")):
        wrapped = option(wrapped)
    return opens_source(wrapped)  # type: ignore[no-any-return]


@click.command()
@_changes
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option("--created-by", default="regscope append", show_default=True, help="What the history says of them.")
def append(image: Image, read: object, files: tuple[str, ...], created_by: str) -> Image:
    """Put each FILE on top of IMAGE as a layer: a tar, compressed or not."""
    return image.append(*files, created_by=created_by)


@click.command()
@_changes
@click.option("--env", multiple=True, metavar=_PAIR, help="Set; NAME alone takes it away. Repeatable.")
@click.option("--label", multiple=True, metavar=_PAIR, help="Set; NAME alone takes it away. Repeatable.")
@click.option("--annotation", multiple=True, metavar=_PAIR, help="Of the manifest. Set; NAME alone takes it away.")
@click.option("--entrypoint", metavar="WORDS", help="As a shell would split it; '' for none.")
@click.option("--cmd", metavar="WORDS", help="As a shell would split it; '' for none.")
@click.option("--user", help="Who runs it.")
@click.option("--workdir", help="Where it runs.")
def mutate(
    image: Image,
    read: object,
    env: Sequence[str],
    label: Sequence[str],
    annotation: Sequence[str],
    entrypoint: str | None,
    cmd: str | None,
    user: str | None,
    workdir: str | None,
) -> Image:
    """Change how IMAGE runs, and what it says of itself."""
    return image.mutate(
        env=_pairs(env),
        labels=_pairs(label),
        annotations=_pairs(annotation),
        entrypoint=_words(entrypoint),
        cmd=_words(cmd),
        user=user,
        working_dir=workdir,
    )


@click.command()
@_changes
@click.option("--old-base", required=True, metavar="IMAGE", help="What it is built on now.")
@click.option("--new-base", required=True, metavar="IMAGE", help="What takes its place.")
def rebase(image: Image, read: Callable[[str], Image], old_base: str, new_base: str) -> Image:
    """Put the layers of another base under IMAGE; nothing is built anew."""
    return image.rebase(read(old_base), read(new_base))


@click.command()
@_changes
def flatten(image: Image, read: object) -> Image:
    """Make one layer of all layers of IMAGE, without what they delete and overwrite."""
    return image.flatten()


@click.command()
@_changes
@click.option("--with", "compression", type=click.Choice(["gzip", "zstd"]), default="zstd", show_default=True)
def recompress(image: Image, read: object, compression: Any) -> Image:
    """Compress the layers of IMAGE in another way."""
    return image.recompress(compression)


@click.command()
@_changes
@click.option("--as", "family", type=click.Choice(["oci", "docker"]), default="oci", show_default=True)
def convert(image: Image, read: object, family: str) -> Image:
    """Give IMAGE a manifest of the other family; its layers stay as they are."""
    return image.to_oci() if family == "oci" else image.to_docker()


@click.command()
@opens_source
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@_TO
@_TARGET
@_OVERWRITE
@click.option("--annotation", multiple=True, metavar=_PAIR, help="Of the index. Repeatable.")
def index(
    source: Source, images: tuple[str, ...], to: str, target: str | None, overwrite: bool, annotation: Sequence[str]
) -> None:
    """Make an index of IMAGEs; of an index among them all, and of two for one platform the later one."""
    from regscope.images.index_of import make_index_at

    pairs = {name: value or "" for name, value in _pairs(annotation).items()}
    place = open_target(source, target or source.source)
    made = make_index_at(source.store(), images, place, to, annotations=pairs, overwrite=overwrite)
    click.echo(f"{to}  {made}")


@click.command()
@opens_source
@click.argument("image")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--type", "artifact_type", required=True, metavar="TYPE", help="Such as application/spdx+json.")
@click.option("--annotation", multiple=True, metavar=_PAIR, help="Of the artifact. Repeatable.")
def attach(source: Source, image: str, file: str, artifact_type: str, annotation: Sequence[str]) -> None:
    """Push FILE beside IMAGE, as an artifact that refers to it: an SBOM, a signature, a report."""
    from regscope.images.attaching import attach_at

    pairs = {name: value or "" for name, value in _pairs(annotation).items()}
    place = open_target(source, source.source)
    click.echo(attach_at(source.store(), place, image, file, artifact_type, None, pairs))


def _pairs(written: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for pair in written:
        name, equals, value = pair.partition("=")
        if not name:
            raise InvalidInput(f"{pair!r} has no name", next_step=f"Write {_PAIR}.")
        found[name] = value if equals else None
    return found


def _words(written: str | None) -> list[str] | None:
    try:
        return None if written is None else shlex.split(written)
    except ValueError as error:
        raise InvalidInput(f"{written!r} cannot be split into words: {error}") from None
