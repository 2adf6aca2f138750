"""`regscope validate`: whether a store has every manifest and blob that its images name."""

from __future__ import annotations

import click

from regscope.cli.exit_codes import BAD_CONTENT, WITH_PROBLEMS
from regscope.cli.output import Output, columns, prints_table, records
from regscope.cli.source import Source, reads_source
from regscope.spec.json_forms import readable
from regscope.text import count, plain

_PROBLEMS = columns(repository="text", what="text", reference="text", error="text")


@click.command()
@prints_table
@reads_source
def validate(source: Source, output: Output) -> None:
    """List missing and damaged content of images.

    A registry is asked with HEAD requests, in each repository; the cache is not used. No layer is downloaded: its size
    is compared, its digest is not. Content that the registry does not report on is listed as unchecked, not missing.
    """
    from regscope.schema import LOST

    snap = source.snapshot(check=True)
    problems, asked = snap.problems, snap.checked or 0
    lost = int(problems["what"].isin(LOST).sum())
    if output.as_json:
        about = {"location": snap.location, "taken_at": snap.taken_at.isoformat(), "asked": asked, "lost": lost}
        click.echo(readable({**about, "problems": records(problems)}))
    elif output.as_csv or len(problems):
        output.show(problems, _PROBLEMS)
    said = f"{count(asked, 'manifest or blob was', 'manifests and blobs were')} checked at {plain(snap.location)}"
    others = f", {count(len(problems) - lost, 'other problem')}" if len(problems) > lost else ""
    click.echo(f"{said}: {lost:,} missing or damaged{others}", err=True)
    if len(problems):
        raise click.exceptions.Exit(BAD_CONTENT if lost else WITH_PROBLEMS)
