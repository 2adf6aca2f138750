"""Asking for confirmation before a deletion, and the note on garbage collection after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from regscope.cli.exit_codes import INTERRUPTED, OTHER

if TYPE_CHECKING:
    from regscope.stores.removal import Removal

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")


def make_sure(question: str, yes: bool) -> None:
    """Return if the user confirms; else exit, with the message that nothing was changed."""
    if yes:
        return
    try:
        if click.confirm(question, err=True):
            return
        code = OTHER
    except click.Abort:  # interrupted, or standard input is closed
        click.echo(err=True)
        code = INTERRUPTED
    click.echo("nothing was changed", err=True)
    raise click.exceptions.Exit(code)


def say_when_bytes_come_back(place: Removal) -> None:
    """Print, where the store does not free storage at once, that the registry's garbage collection does."""
    if not place.frees_at_once:
        click.echo("its storage is freed at the registry's next garbage collection", err=True)
