"""`regscope login` and `regscope logout`."""

from __future__ import annotations

import click

from regscope.cli.source import Source, opens_source
from regscope.errors import InvalidInput
from regscope.masking import without_secrets
from regscope.text import plain


@click.command()
@opens_source
def login(source: Source) -> None:
    """Log in to the registry SOURCE, and keep it where docker does: in its helper, else in its config.json."""
    from regscope.registry.credentials import Credentials
    from regscope.registry.endpoint import APIEndpoint
    from regscope.registry.login import log_in

    if not source.username:
        raise InvalidInput("who logs in?", next_step="Add --username NAME; the password is asked for.")
    client = source.client()
    given = client.keychain.login("")
    assert isinstance(given, Credentials)  # name and password, as asked for
    where = log_in(client, APIEndpoint(url=source.source).host, given.username, given.password)
    click.echo(
        f"logged in to {plain(without_secrets(source.source))} as {plain(given.username)}, kept in {plain(where)}"
    )


@click.command()
@click.argument("source")
def logout(source: str) -> None:
    """Forget the login that is kept for the registry SOURCE."""
    from regscope.registry.endpoint import APIEndpoint
    from regscope.registry.login import log_out

    was_there = log_out(APIEndpoint(url=source).host)
    click.echo(f"logged out of {plain(source)}" if was_there else f"there was no login for {plain(source)}")
