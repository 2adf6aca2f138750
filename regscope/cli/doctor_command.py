"""`regscope doctor`."""

from __future__ import annotations

import click

from regscope.cli import exit_codes
from regscope.cli.output import Output, columns, prints_table
from regscope.cli.source import Source, opens_source

_FOUND = columns(question="text", outcome="text", answer="text", next_step="text")


@click.command()
@prints_table
@opens_source
@click.option("-r", "--about", metavar="REPOSITORY", help="Ask about this repository; by default the first listed.")
@click.option(
    "--write",
    metavar="REPOSITORY",
    help="Also push a small image into this scratch repository, untag, delete and restore it, and delete it again.",
)
def doctor(source: Source, output: Output, about: str | None, write: str | None) -> None:
    """Show what works at a registry, for a bug report.

    Each question is a row, without secrets. Only --write changes something.
    """
    from regscope.checkup.doctor import doctor as check_up

    found = check_up(source.fresh_store(), repository=about, write=write)
    output.show(found.table, _FOUND)
    if not found.ok:
        raise click.exceptions.Exit(exit_codes.OTHER)
