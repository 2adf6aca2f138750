"""Asking before something is taken away, and what there is to say after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from regscope.cli.exit_codes import INTERRUPTED, OTHER

if TYPE_CHECKING:
    from regscope.stores.removal import Removal

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def make_sure(question: str, yes: bool) -> None:
    """Go on where the user says so; else leave, and say that nothing was changed."""
    if yes:
        return
    try:
        if click.confirm(question, err=True):
            return
        code = OTHER
    except click.Abort:  # interrupted, or nobody is there
        click.echo(err=True)
        code = INTERRUPTED
    click.echo("nothing was changed", err=True)
    raise click.exceptions.Exit(code)


def say_when_bytes_come_back(place: Removal) -> None:
    """Registries only forget; what nothing names any more is swept up later."""
    if not place.frees_at_once:
        click.echo("its bytes come back at the registry's next garbage collection", err=True)
