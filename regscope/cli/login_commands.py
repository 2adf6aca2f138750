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
    """Log in to the registry SOURCE.

    The login is saved as docker does, in its credential helper, or in its config.json.
    """
    from regscope.registry.credentials import Credentials
    from regscope.registry.endpoint import APIEndpoint
    from regscope.registry.login import log_in

    if not source.username:
        raise InvalidInput("no user name was given", next_step="Add --username NAME; the password is asked for.")
    store = source.registry()
    client = store.client
    given = client.keychain.login("")
    assert isinstance(given, Credentials)  # the given user name and password
    try:
        where = log_in(client, APIEndpoint(url=store.client.api_base_url).host, given.username, given.password)
    finally:
        if store.provider is not None:
            click.echo(f"{store.provider.name} needs {store.provider.needs}", err=True)
    click.echo(
        f"logged in to {plain(without_secrets(source.source))} as {plain(given.username)}; saved in {plain(where)}"
    )


@click.command()
@click.argument("source")
def logout(source: str) -> None:
    """Delete the saved login for the registry SOURCE."""
    from regscope.registry.endpoint import APIEndpoint
    from regscope.registry.login import log_out

    was_there = log_out(APIEndpoint(url=source).host)
    click.echo(f"logged out of {plain(source)}" if was_there else f"there was no saved login for {plain(source)}")
