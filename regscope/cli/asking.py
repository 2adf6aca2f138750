"""Asking before something is taken away."""

from __future__ import annotations

import click

from regscope.cli.exit_codes import OTHER

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def make_sure(question: str, yes: bool) -> None:
    """Go on where the user says so; else leave, and say that nothing was changed."""
    if yes or click.confirm(question, err=True):
        return
    click.echo("nothing was changed", err=True)
    raise click.exceptions.Exit(OTHER)
