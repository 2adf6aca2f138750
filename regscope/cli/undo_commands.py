"""`regscope undo` and `regscope journal`: restore what was deleted, and show the steps that were done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from regscope.cli.exit_codes import OTHER
from regscope.cli.output import Output, columns, prints_table, records
from regscope.cli.source import Source, reaches_source
from regscope.spec.json_forms import readable

if TYPE_CHECKING:
    import pandas as pd

    from regscope.remediation.journal import JournalRecord

_STEPS = columns(repository="text", action="text", tags="text", digest="digest", frees="size", done="yes")
_JOURNALS = columns(name="text", started="time", location="text", steps="number", done="number")
_ITS_OWN = ""


@click.command()
@reaches_source
@click.argument("names", metavar="[REGISTRY] JOURNAL", nargs=-1, required=True)
@click.option("--backup", metavar="oci:FOLDER", help="The layout that `regscope apply --backup` filled.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
@click.option("-y", "--yes", is_flag=True, help="Restore. Without this, only show what would be restored.")
def undo(source: Source, names: tuple[str, ...], backup: str | None, as_json: bool, yes: bool) -> None:
    """Restore what the steps of a JOURNAL deleted.

    JOURNAL is a file, or one that `regscope journal` lists: `latest`, its name, or the beginning of its name. The
    images are restored to the journal's registry, unless REGISTRY is given.

    Content is restored byte for byte. Until the registry's garbage collection no backup is needed; after it one is.
    Without --yes nothing is changed: the output lists what would be restored, where its blobs are, and what cannot be
    restored. Tags that now point to another manifest are not changed.
    """
    from regscope.remediation.journal_names import find_journal
    from regscope.remediation.journal_reader import read_journal
    from regscope.remediation.undoing import undo as bring_back

    if len(names) > 2:
        raise click.UsageError("too many arguments: name at most one registry, and one journal")
    journal: str | JournalRecord = names[-1]
    if len(names) == 1:
        journal = read_journal(find_journal(names[0]))
    registry = names[0] if isinstance(journal, str) else journal.location
    done = bring_back(journal, replace(source, source=registry).fresh_store(), backup=backup, dry_run=not yes)
    click.echo(readable(done.summary()) if as_json else repr(done))
    if not yes:
        click.echo("nothing was changed; add --yes to restore", err=True)
    if not done.ok:
        raise click.exceptions.Exit(OTHER)


@click.command()
@prints_table
@reaches_source
@click.argument("journal_file", metavar="[JOURNAL]", required=False, type=click.Path(dir_okay=False))
@click.option(
    "--check",
    is_flag=False,
    flag_value=_ITS_OWN,
    metavar="[REGISTRY]",
    help="Ask the registry, or its storage:FOLDER, whether the blobs to be freed are deleted.",
)
def journal(source: Source, output: Output, journal_file: str | None, check: str | None) -> None:
    """Show the steps of a JOURNAL, or list all journals.

    The list has the journals that `regscope apply` wrote to the default folder.

    JOURNAL is a file, or one from this list: `latest`, its name, or the beginning of its name.
    """
    from regscope.remediation.journal_names import find_journal
    from regscope.remediation.journal_reader import read_journal

    if journal_file is None:
        if check is not None:
            raise click.UsageError("name the journal before --check: regscope journal latest --check")
        output.show(_journals(), _JOURNALS, "There is no journal in the default folder.")
        return
    record = read_journal(find_journal(journal_file))
    if check is not None:
        _check(record, replace(source, source=check or record.location), output)
        return
    if output.as_json:
        about = {"location": record.location, "plan": record.plan, "started": record.started.isoformat()}
        click.echo(readable({**about, "steps": records(record.table)}))
        return
    if not output.is_data:
        click.echo(repr(record))
    output.show(record.table, _STEPS, "The journal has no steps.")


def _check(record: JournalRecord, source: Source, output: Output) -> None:
    """Print how many of the bytes to be freed have been collected."""
    from regscope.remediation.collected import collected

    found = collected(record, source.fresh_store())
    if output.as_csv:
        output.show(found.table, [])
    else:
        click.echo(readable(found.summary()) if output.as_json else repr(found))
    if not found.ok:
        raise click.exceptions.Exit(OTHER)


def _journals() -> pd.DataFrame:
    """All journals in the default folder, the newest first."""
    import pandas as pd

    from regscope.errors import StoreError
    from regscope.remediation.journal_names import journals
    from regscope.remediation.journal_reader import read_journal

    rows = []
    for path in journals():
        try:
            found = read_journal(path)
        except StoreError:  # damaged, or no journal: the error is raised when this one is named
            continue
        rows.append((path.stem, found.started, found.location, len(found.entries), len(found.done), str(path)))
    return pd.DataFrame(rows, columns=["name", "started", "location", "steps", "done", "path"])
