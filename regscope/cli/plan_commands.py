"""`regscope plan` and `regscope apply`: what would go, and letting it go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regscope.cli.exit_codes import OTHER, exit_code
from regscope.cli.output import Output, columns, finish, prints_table, records
from regscope.cli.sizes import size_in_bytes
from regscope.cli.source import CHECK, Source, opens_source, reads_source
from regscope.errors import RegscopeError
from regscope.spec.json_forms import readable

if TYPE_CHECKING:
    from regscope.remediation.lacking import Lacking
    from regscope.remediation.plan import Plan
    from regscope.remediation.policy import Policy

_GOES = columns(repository="text", tag="text", digest="digest", action="text", size="size", frees="size", rule="text")
_SPARED = columns(repository="text", tag="text", digest="digest", rule="text", reason="text")
_STEPS = columns(action="text", repository="text", tag="text", digest="digest", kind="text", frees="size")
_COUNTED = columns(repository="text", untag="number", delete="number", frees="size")
_MOST_SHOWN = 25  # steps, and repositories
_DIFFERS = columns(repository="text", tag="text", digest="digest", action="text", other_action="text")
_RULES = (
    "tags", "exclude_tags", "exclude_repositories", "keep_last", "keep_last_by", "keep_last_per", "older_than",
    "platforms", "labels", "untagged", "orphans", "protect", "in_use",
)  # fmt: skip


@click.command()
@prints_table
@reads_source
@click.option("--policy", type=click.Path(dir_okay=False), help="A YAML or TOML file, of one rule or a list.")
@click.option("--tags", multiple=True, metavar="PATTERN", help="Tags that may go: a glob or /regex/; repeatable.")
@click.option("--exclude-tags", multiple=True, metavar="PATTERN", help="Tags that it is not about; repeatable.")
@click.option("--exclude-repositories", multiple=True, metavar="PATTERN", help="Repositories likewise; repeatable.")
@click.option("--keep-last", type=click.IntRange(min=0), help="Keep so many images of each repository.")
@click.option("--keep-last-by", type=click.Choice(["created", "pushed", "version"]), help="What is newest.")
@click.option("--keep-last-per", metavar="REGEX", help="Keep so many for each value of its groups: '(.+)-[0-9]+'.")
@click.option("--older-than", metavar="AGE", help="Only what is older: 30d, 12h, 90m.")
@click.option("--only-platform", "platforms", multiple=True, metavar="OS/ARCH", help="Only for this; repeatable.")
@click.option("--label", "labels", multiple=True, metavar="KEY=PATTERN", help="Only with this label; repeatable.")
@click.option("--untagged", is_flag=False, flag_value="0s", metavar="[AGE]", help="Manifests that nothing keeps.")
@click.option("--orphans", is_flag=True, help="Attachments of what is gone, indexes without children.")
@click.option("--protect", multiple=True, metavar="NAME", help="Tag, repository:tag or digest that stays; repeatable.")
@click.option(
    "--in-use", type=click.Path(dir_okay=False), help="A list of what runs, or `kubectl get pods -A -o json`."
)
@click.option(
    "--known", multiple=True, metavar="FOLDER", help="An earlier scan: look for what lost its tag since; repeatable."
)
@CHECK
@click.option("--save", type=click.Path(dir_okay=False), help="Write the plan to this file, for `regscope apply`.")
@click.option("--compare", type=click.Path(dir_okay=False), help="List what that saved plan decides otherwise.")
def plan(
    source: Source,
    output: Output,
    policy: str | None,
    known: tuple[str, ...],
    check: bool,
    save: str | None,
    compare: str | None,
    **rules: Any,
) -> None:
    """Say what a retention policy would delete, why, and how many bytes would come back; nothing is deleted.

    What is protected, in use, part of an index that stays or attached to an image that stays is kept always. The
    manifests and blobs that it is about are asked for, unless SOURCE is a saved snapshot: what is missing is told.
    """
    from regscope.remediation.plan import Plan
    from regscope.remediation.planning import plan as make_plan

    asked = _policy(policy, rules)
    snap = source.snapshot(known=known, check=check)
    made = make_plan(snap, asked)
    if save:
        click.echo(f"saved in {made.save(save)}", err=True)
    if compare:
        output.show(made.compare(Plan.load(compare)), _DIFFERS, "The plans decide alike.")
    else:
        _show(made, output, None if source.is_saved else made.check(source.fresh_store()))
    finish(snap)


def _policy(path: str | None, options: dict[str, Any]) -> Policy:
    """The policy of a file; options stand over its rule, and what they keep is kept besides what the file keeps."""
    from regscope.remediation.policy import keeping_more, policy_from_file
    from regscope.remediation.retention import Retention

    given = {name: options[name] for name in _RULES if options[name] not in (None, (), False)}
    if "labels" in given:
        given["labels"] = dict(_label(text) for text in given["labels"])
    if given.get("untagged") == "0s":
        given["untagged"] = True
    if path is None:
        return Retention(**given)
    said = policy_from_file(path)
    kept = Retention(untagged=True, **{name: given.pop(name) for name in ("protect", "in_use") if name in given})
    if given and not isinstance(said, Retention):
        raise click.UsageError(f"{path} has a list of rules: only --protect and --in-use can be added to it")
    if isinstance(said, Retention):
        said = said.changed(**given)
    return keeping_more(said, kept.protect, kept.in_use)


def _label(text: str) -> tuple[str, str]:
    key, equals, pattern = text.partition("=")
    if not key or not equals:
        raise click.UsageError(f"--label {text!r} is not KEY=PATTERN")
    return key, pattern


def _show(made: Plan, output: Output, lacking: Lacking | None) -> None:
    """Show the plan, and what the store lacks of what it concerns; None if that was not asked for."""
    if output.as_csv:
        output.show(made.table, [])
    elif output.as_json:
        summary = _summary(made) | {"lacking": None if lacking is None else lacking.summary()}
        click.echo(readable(summary))
    else:
        output.show_facts(made.title, made.facts(), [], {})
        if len(made.goes):
            click.echo("\nGoes:")
            output.show(made.goes, _GOES)
        if len(made.spared):
            click.echo("\nMatched, and stays:")
            output.show(made.spared, _SPARED)
        for note in made.notes()[1:] + ([] if lacking is None else lacking.notes()):
            click.echo(note, err=True)
        click.echo("nothing was changed; --save FILE keeps the plan for `regscope apply`", err=True)


def _summary(made: Plan) -> dict[str, Any]:
    from regscope.remediation.policy import policy_as_json

    return {
        "location": made.location,
        "taken_at": made.taken_at.isoformat(),
        "policy": policy_as_json(made.policy),
        "freed_bytes": made.freed_bytes,
        "at_most": made.at_most,
        "orphaned_bytes": made.orphaned_bytes,
        "unknown": list(made.unknown),
        "in_use": list(made.in_use),
        "not_understood": list(made.not_understood),
        "goes": records(made.goes),
        "spared": records(made.spared),
    }


def _show_steps(made: Plan, output: Output) -> None:
    """Show the first steps, and the number of steps in each repository."""
    if made.steps.empty:
        click.echo("The plan has no steps.\n")
        return
    click.echo("Steps, in this order:")
    output.show(made.steps, _STEPS)
    click.echo("\nIn each repository:")
    output.show(made.by_repository, _COUNTED)
    click.echo()


def _bytes(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    return None if value is None else size_in_bytes(value)


@click.command()
@opens_source
@click.argument("plan_file", metavar="PLAN", type=click.Path(dir_okay=False))
@click.option("--max-deletes", type=click.IntRange(min=0), help="Stop after so many deletions; run it again to go on.")
@click.option("--max-bytes", callback=_bytes, metavar="SIZE", help="Stop before more than this would come back.")
@click.option("--backup", metavar="oci:FOLDER", help="First copy what goes into this OCI image layout.")
@click.option("--backup-all", is_flag=True, help="Copy layers, too, that stay in the registry.")
@click.option(
    "--journal",
    type=click.Path(dir_okay=False),
    help="Write down here what is done; one that is there is gone on with.",
)
@click.option("-n", "--limit", type=click.IntRange(min=0), help="Most steps to show; 25 by default.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON, with every step.")
@click.option("-y", "--yes", is_flag=True, help="Do it. Without this, only say what would be done.")
def apply(
    source: Source,
    plan_file: str,
    max_deletes: int | None,
    max_bytes: int | None,
    backup: str | None,
    backup_all: bool,
    journal: str | None,
    limit: int | None,
    as_json: bool,
    yes: bool,
) -> None:
    """Carry out a PLAN that `regscope plan --save` wrote.

    A plan that contradicts itself, as after a change by hand, is refused. Its steps are shown
    first, with or without --yes.

    Everything is looked up again right before: what changed since is left alone, and told. Each step is written down
    first, so that `regscope undo` can bring it back.
    """
    from regscope.remediation.plan import Plan

    made = Plan.load(plan_file)
    if not as_json:
        _show_steps(made, Output(False, False, _MOST_SHOWN if limit is None else limit))
    done = made.apply(
        source.fresh_store(),
        dry_run=not yes,
        max_deletes=max_deletes,
        max_bytes=max_bytes,
        backup=backup,
        backup_all=backup_all,
        journal=Path(journal) if journal else None,
    )
    click.echo(readable(done.summary()) if as_json else repr(done))
    if not yes:
        click.echo("nothing was changed; --yes does it", err=True)
    if not done.ok:
        error = done.stopped_by
        raise click.exceptions.Exit(exit_code(error) if isinstance(error, RegscopeError) else OTHER)
