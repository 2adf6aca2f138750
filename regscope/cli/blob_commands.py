"""`regscope blob`: single blobs, by digest."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from regscope.cli.asking import make_sure, say_when_bytes_come_back, yes_option
from regscope.cli.source import Source, opens_source
from regscope.spec.json_forms import one_line


@click.group()
def blob() -> None:
    """Read, write or delete a single blob of a REPOSITORY."""


@blob.command()
@opens_source
@click.argument("repository")
@click.argument("digest")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="The file to write; standard output by default.")
def get(source: Source, repository: str, digest: str, output: str | None) -> None:
    """Read a blob, and verify it; an output file appears only when it is complete and verified."""
    from regscope.registry.local_content import written_whole

    content = source.store().blob(repository, digest)
    if output is None:
        sys.stdout.buffer.writelines(content)
        return
    with written_whole(Path(output)) as file:
        file.writelines(content)


@blob.command()
@opens_source
@click.argument("repository")
@click.argument("digest")
def stat(source: Source, repository: str, digest: str) -> None:
    """Print digest and size of a blob as JSON."""
    click.echo(one_line({"digest": digest, "size": source.store().blob_size(repository, digest)}))


@blob.command()
@opens_source
@click.argument("repository")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def put(source: Source, repository: str, file: str) -> None:
    """Push FILE as a blob, and print its digest."""
    from regscope.registry.local_content import LocalContent
    from regscope.spec.digest import Passing
    from regscope.stores.open_destination import open_destination

    place = open_destination(source.fresh_store())
    content, passing = LocalContent(Path(file), None), Passing()
    for piece in content.pieces():
        passing.take(piece)
    place.take_blob(repository, passing.digest, content, None)
    place.close()
    click.echo(passing.digest)


@blob.command()
@opens_source
@click.argument("repository")
@click.argument("digest")
@yes_option
def delete(source: Source, repository: str, digest: str, yes: bool) -> None:
    """Delete a blob. Images that need it can no longer be pulled."""
    from regscope.spec.digest import Digest
    from regscope.stores.removal import open_removal

    place = open_removal(source.fresh_store())
    wanted = Digest(digest)
    make_sure(f"Delete {wanted} from {repository}? Images that need it can no longer be pulled.", yes)
    place.delete_blob(repository, wanted)
    click.echo(f"{digest} was deleted")
    say_when_bytes_come_back(place)
