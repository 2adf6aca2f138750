"""`regscope image copy`, `pull`, `push`, `save` and `load`: copy images from one store to another."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from regscope.cli.completion import locations
from regscope.cli.source import Source, opens_source
from regscope.errors import InvalidInput
from regscope.stores.kinds import (
    DOCKER_ARCHIVE,
    LAYOUT,
    OCI_ARCHIVE,
    REGISTRY,
    WRITABLE,
    kind_of,
    listed,
    path_in,
    stated_kind,
)
from regscope.text import plain

if TYPE_CHECKING:
    from regscope.stores.content_store import ContentStore
    from regscope.stores.destination import Destination

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--to", metavar="NAME", help="The name at TARGET: repository:tag, repository, or a prefix/ of names."),
    click.option(
        "-p", "--platform", multiple=True, metavar="OS/ARCH", help="Copy only these images of an index; repeatable."
    ),
    click.option("--referrers", is_flag=True, help="Also copy signatures, SBOMs and attestations."),
    click.option("--overwrite", is_flag=True, help="Move tags at TARGET that point to other manifests."),
    click.option("--to-ca", type=click.Path(exists=True, dir_okay=False), help="TARGET's certificate authority (PEM)."),
    click.option("--to-insecure", is_flag=True, help="Do not verify TARGET's TLS, and send credentials nevertheless."),
)
_NAMES = ("to", "platform", "referrers", "overwrite", "to_ca", "to_insecure")


def _copies(command: Command) -> Command:
    """Add the options of copying to a command; it gets their values in `how`."""

    @functools.wraps(command)
    def with_options(**arguments: Any) -> Any:
        how = {name: arguments.pop(name) for name in _NAMES}
        return command(how=how, **arguments)

    wrapped: Any = with_options
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


_COPY = f"""Copy IMAGEs of SOURCE to TARGET, byte for byte; * matches any text, as in 'team/app:*'.

TARGET is one of {listed(WRITABLE)}. Blobs that TARGET has are not copied, and an interrupted copy continues
where it was. Options for a registry apply to SOURCE, or to TARGET if SOURCE is no registry.
"""


@click.command("copy", help=_COPY)
@opens_source
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("target", shell_complete=locations(WRITABLE))
@_copies
def copy(source: Source, images: tuple[str, ...], target: str, how: dict[str, Any]) -> None:
    _copy(source, images, target, how)


@click.command()
@opens_source
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("folder")
@_copies
def pull(source: Source, images: tuple[str, ...], folder: str, how: dict[str, Any]) -> None:
    """Copy IMAGEs of SOURCE into the OCI image layout in FOLDER, which is created if it does not exist.

    With oci-archive:FILE instead of FOLDER, the layout is written into one tar file.
    """
    _copy(source, images, folder if stated_kind(folder) in (LAYOUT, OCI_ARCHIVE) else LAYOUT.at(folder), how)


@click.command()
@opens_source
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("registry")
@_copies
def push(source: Source, images: tuple[str, ...], registry: str, how: dict[str, Any]) -> None:
    """Copy IMAGEs of SOURCE to REGISTRY."""
    if kind_of(registry) != REGISTRY:
        raise InvalidInput(f"{registry} is no registry", next_step="Use `regscope image copy` for this target.")
    _copy(source, images, registry, how)


@click.command()
@opens_source
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.argument("file")
@_copies
def save(source: Source, images: tuple[str, ...], file: str, how: dict[str, Any]) -> None:
    """Copy IMAGEs of SOURCE into FILE, for `docker load`; of an index the image for linux/amd64, or for -p.

    With oci-archive:FILE instead of FILE, an OCI layout with whole indexes is written into one tar file.
    """
    if stated_kind(file) not in (DOCKER_ARCHIVE, OCI_ARCHIVE):
        file = DOCKER_ARCHIVE.at(file)
    if kind_of(file) == DOCKER_ARCHIVE:
        how["platform"] = how["platform"] or ("linux/amd64",)
    _copy(source, images, file, how)


@click.command()
@opens_source
@click.argument("target", shell_complete=locations(WRITABLE))
@_copies
def load(source: Source, target: str, how: dict[str, Any]) -> None:
    """Copy all images of SOURCE, such as docker-archive:FILE or oci-archive:FILE, to TARGET, tagged and untagged."""
    store = source.store()
    kinds = [pattern for pattern, listing in (("*:*", store.tags), ("*@*", store.untagged)) if _any(store, listing)]
    _copy(source, kinds or ["*:*"], target, how)


def _any(store: ContentStore, listing: Callable[[str], Sequence[str]]) -> bool:
    return any(listing(repository) for repository in store.repositories())


def _copy(source: Source, images: Sequence[str], target: str, how: dict[str, Any]) -> None:
    from regscope.images.copying import copy_to

    done = copy_to(
        source.store(),
        images,
        open_target(source, target, how["to_ca"], how["to_insecure"]),
        how["to"],
        platforms=how["platform"],
        referrers=how["referrers"],
        overwrite=how["overwrite"],
    )
    for copied in done.images:
        click.echo(f"{plain(copied.name)}  {copied.digest}")
    click.echo(", ".join(f"{name}: {value}" for name, value in done.facts().items()), err=True)


def open_target(source: Source, target: str, ca: str | None = None, insecure: bool = False) -> Destination:
    """Open TARGET; the options for a registry apply to it if it is SOURCE itself, or if SOURCE is no registry.

    Raises:
        InvalidInput: TARGET is the same archive as SOURCE; images cannot be added to an archive, only replaced.
    """
    from regscope.stores.open_destination import open_destination
    from regscope.stores.open_store import open as open_store

    kind = kind_of(target)
    if kind.follows == "file" and _is_same_file(target, source.source):
        raise InvalidInput(
            f"nothing can be added to {target}", next_step=f"Name a new file as the target: {listed([kind])}."
        )
    if kind != REGISTRY:
        return open_destination(target)
    if target == source.source or kind_of(source.source) != REGISTRY:
        options = source.reaching()
        options["insecure"] = options["insecure"] or insecure
    else:
        verify = False if insecure else ca or True
        options = {"verify": verify, "insecure": insecure, "concurrency": source.concurrency, "rate": source.rate}
        options |= {"slowest": source.slowest}
    return open_destination(open_store(target, cache=False, mirrors=(), **options))


def _is_same_file(target: str, source: str) -> bool:
    if kind_of(source).follows != "file":
        return False
    one, other = path_in(target), path_in(source)
    return one.exists() and other.exists() and one.samefile(other)
