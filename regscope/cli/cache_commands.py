"""`regscope cache`: shows, clears and prunes the cache on disk."""

from __future__ import annotations

import click

from regscope.cli.sizes import size_in_bytes
from regscope.text import count, size


@click.group(invoke_without_command=True)
@click.pass_context
def cache(context: click.Context) -> None:
    """Show the cache, or delete from it.

    It has manifests and configs by digest. Deleted entries are read again when they are needed.
    """
    if context.invoked_subcommand is None:
        from regscope.stores.digest_cache import DigestCache

        kept = DigestCache()
        click.echo(
            f"{kept.folder}: {count(len(kept), 'entry', 'entries')}, {size(kept.size)} of at most {size(kept.limit)}"
        )


@cache.command()
def clear() -> None:
    """Delete everything that is cached."""
    from regscope.stores.digest_cache import DigestCache

    click.echo(f"{count(DigestCache().clear(), 'entry', 'entries')} deleted")


@cache.command()
@click.argument("limit")
def prune(limit: str) -> None:
    """Delete the oldest entries until the cache is within LIMIT, such as 500MB."""
    from regscope.stores.digest_cache import DigestCache

    click.echo(f"{count(DigestCache().prune(size_in_bytes(limit)), 'entry', 'entries')} deleted")
