"""`regscope undo` and `regscope journal`: what was deleted, and bringing it back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from regscope.cli.exit_codes import OTHER
from regscope.cli.output import Output, columns, prints_table, records
from regscope.cli.source import Source, opens_source

if TYPE_CHECKING:
    import pandas as pd

_STEPS = columns(repository="text", action="text", tags="text", digest="digest", frees="size", done="yes")
_JOURNALS = columns(started="time", location="text", steps="number", done="number", path="path")


@click.command()
@opens_source
@click.argument("journal", type=click.Path(dir_okay=False))
@click.option("--backup", metavar="oci:FOLDER", help="The layout that `regscope apply --backup` filled.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
@click.option("-y", "--yes", is_flag=True, help="Do it. Without this, only say what would be brought back.")
def undo(source: Source, journal: str, backup: str | None, as_json: bool, yes: bool) -> None:
    """Bring back what a JOURNAL says was deleted, byte for byte.

    It goes until the registry has collected its garbage, and after that from a backup. Tags that point elsewhere by now
    are left alone.
    """
    from regscope.remediation.undoing import undo as bring_back

    done = bring_back(journal, source.fresh_store(), backup=backup, dry_run=not yes)
    click.echo(json.dumps(done.summary(), indent=2) if as_json else repr(done))
    if not yes:
        click.echo("nothing was changed; --yes does it", err=True)
    if not done.ok:
        raise click.exceptions.Exit(OTHER)


@click.command()
@prints_table
@click.argument("journal_file", metavar="[JOURNAL]", required=False, type=click.Path(dir_okay=False))
def journal(output: Output, journal_file: str | None) -> None:
    """Show the steps of a JOURNAL, or list those that `regscope apply` has written where nobody gave it a place."""
    from regscope.remediation.journal import read_journal

    if journal_file is None:
        output.show(_journals(), _JOURNALS, "There is no journal.")
        return
    record = read_journal(journal_file)
    if output.as_json:
        about = {"location": record.location, "plan": record.plan, "started": record.started.isoformat()}
        click.echo(json.dumps({**about, "steps": records(record.table)}, indent=2))
        return
    if not output.is_data:
        click.echo(repr(record))
    output.show(record.table, _STEPS, "Nothing was done.")


def _journals() -> pd.DataFrame:
    """All that are in the usual place, the newest first."""
    import pandas as pd

    from regscope.errors import StoreError
    from regscope.remediation.journal import journal_folder, read_journal

    rows = []
    for path in sorted(journal_folder().glob("*.jsonl"), reverse=True):
        try:
            found = read_journal(path)
        except StoreError:  # damaged, or none: it is said when it is named
            continue
        rows.append((found.started, found.location, len(found.entries), len(found.done), str(path)))
    return pd.DataFrame(rows, columns=["started", "location", "steps", "done", "path"])
