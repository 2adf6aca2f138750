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
    "-p", "--platform", default="linux/amd64", show_default=True, help="The image of an index, by its platform."
)
_TO = click.option("--to", required=True, metavar="NAME", help="The name of the new image: repository:tag.")
_TARGET = click.option(
    "--target",
    shell_complete=locations(WRITABLE),
    help=f"Where to write the new image: {listed(WRITABLE)}; SOURCE by default.",
)
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Move NAME if it points to another manifest.")
_PAIR = "NAME=VALUE"


def _changes(command: Command) -> Command:
    """Add SOURCE, IMAGE and the options of the result's place to a command, which gets the image as `image: Image`."""

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
@click.option(
    "--created-by", default="regscope append", show_default=True, help="The layers' created_by in the history."
)
def append(image: Image, read: object, files: tuple[str, ...], created_by: str) -> Image:
    """Add each FILE, a tar, compressed or not, to IMAGE as its top layer."""
    return image.append(*files, created_by=created_by)


@click.command()
@_changes
@click.option("--env", multiple=True, metavar=_PAIR, help="Set a variable; NAME alone removes it. Repeatable.")
@click.option("--label", multiple=True, metavar=_PAIR, help="Set a label; NAME alone removes it. Repeatable.")
@click.option("--annotation", multiple=True, metavar=_PAIR, help="Set one in the manifest; NAME alone removes it.")
@click.option("--entrypoint", metavar="WORDS", help="Set the entrypoint, split as a shell does; '' for none.")
@click.option("--cmd", metavar="WORDS", help="Set the command, split as a shell does; '' for none.")
@click.option("--user", help="Set the user that runs the image.")
@click.option("--workdir", help="Set the working directory.")
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
    """Change the config of IMAGE (environment, command, user and so on), its labels and annotations."""
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
@click.option("--old-base", required=True, metavar="IMAGE", help="The present base of IMAGE.")
@click.option("--new-base", required=True, metavar="IMAGE", help="The base to use instead.")
def rebase(image: Image, read: Callable[[str], Image], old_base: str, new_base: str) -> Image:
    """Replace the base layers of IMAGE by those of another base, without a build."""
    return image.rebase(read(old_base), read(new_base))


@click.command()
@_changes
def flatten(image: Image, read: object) -> Image:
    """Merge all layers of IMAGE into one, without deleted and overwritten files."""
    return image.flatten()


@click.command()
@_changes
@click.option("--with", "compression", type=click.Choice(["gzip", "zstd"]), default="zstd", show_default=True)
def recompress(image: Image, read: object, compression: Any) -> Image:
    """Compress the layers of IMAGE with gzip or zstd."""
    return image.recompress(compression)


@click.command()
@_changes
@click.option("--as", "family", type=click.Choice(["oci", "docker"]), default="oci", show_default=True)
def convert(image: Image, read: object, family: str) -> Image:
    """Convert the manifest of IMAGE to OCI's or Docker's media types; its layers are not changed."""
    return image.to_oci() if family == "oci" else image.to_docker()


@click.command()
@opens_source
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@_TO
@_TARGET
@_OVERWRITE
@click.option("--annotation", multiple=True, metavar=_PAIR, help="An annotation of the index. Repeatable.")
def index(
    source: Source, images: tuple[str, ...], to: str, target: str | None, overwrite: bool, annotation: Sequence[str]
) -> None:
    """Make an index of IMAGEs; an index among them adds all of its images. Of two for one platform the last is used."""
    from regscope.images.index_of import make_index_at

    pairs = {name: value or "" for name, value in _pairs(annotation).items()}
    place = open_target(source, target or source.source)
    made = make_index_at(source.store(), images, place, to, annotations=pairs, overwrite=overwrite)
    click.echo(f"{to}  {made}")


@click.command()
@opens_source
@click.argument("image")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--type", "artifact_type", required=True, metavar="TYPE", help="Artifact type, such as application/spdx+json."
)
@click.option("--annotation", multiple=True, metavar=_PAIR, help="An annotation of the artifact. Repeatable.")
def attach(source: Source, image: str, file: str, artifact_type: str, annotation: Sequence[str]) -> None:
    """Push FILE, such as an SBOM, a signature or a report, as an artifact whose subject is IMAGE."""
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
