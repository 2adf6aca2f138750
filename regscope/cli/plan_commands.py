"""`regscope plan` and `regscope apply`: show what a policy would delete, and delete it."""

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
    "not_pulled_for", "platforms", "labels", "untagged", "orphans", "protect", "in_use",
)  # fmt: skip


@click.command()
@prints_table
@reads_source
@click.option("--policy", type=click.Path(dir_okay=False), help="A YAML or TOML file with one rule or a list of rules.")
@click.option(
    "--tags", multiple=True, metavar="PATTERN", help="Tags that may be deleted: a glob or /regex/; repeatable."
)
@click.option("--exclude-tags", multiple=True, metavar="PATTERN", help="Tags excluded from this policy; repeatable.")
@click.option("--exclude-repositories", multiple=True, metavar="PATTERN", help="Repositories excluded; repeatable.")
@click.option("--keep-last", type=click.IntRange(min=0), help="Keep this many newest images of each repository.")
@click.option("--keep-last-by", type=click.Choice(["created", "pushed", "version"]), help="Order for --keep-last.")
@click.option("--keep-last-per", metavar="REGEX", help="Apply --keep-last to each value of its groups: '(.+)-[0-9]+'.")
@click.option("--older-than", metavar="AGE", help="Delete only images older than this: 30d, 12h, 90m.")
@click.option("--not-pulled-for", metavar="AGE", help="Delete only images neither pulled nor pushed for this long.")
@click.option(
    "--only-platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH",
    help="Delete only images for this platform; repeatable.",
)
@click.option(
    "--label", "labels", multiple=True, metavar="KEY=PATTERN", help="Delete only images with this label; repeatable."
)
@click.option(
    "--untagged", is_flag=False, flag_value="0s", metavar="[AGE]", help="Delete untagged manifests, if older than AGE."
)
@click.option("--orphans", is_flag=True, help="Delete referrers of missing subjects, and indexes without children.")
@click.option("--protect", multiple=True, metavar="NAME", help="Tag, repository:tag or digest to keep; repeatable.")
@click.option(
    "--in-use", type=click.Path(dir_okay=False), help="A list of running images, or `kubectl get pods -A -o json`."
)
@click.option(
    "--known", multiple=True, metavar="FOLDER", help="An earlier scan; finds manifests untagged since. Repeatable."
)
@CHECK
@click.option("--save", type=click.Path(dir_okay=False), help="Write the plan to this file, for `regscope apply`.")
@click.option("--compare", type=click.Path(dir_okay=False), help="List the differences from that saved plan.")
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
    """Show what a retention policy would delete.

    The output gives the reasons and the freed bytes; nothing is deleted.

    Images that are protected or in use, children of kept indexes and referrers of kept images are always kept.
    Unless SOURCE is a saved snapshot, the manifests and blobs of the plan are looked up; missing ones are reported.
    """
    from regscope.remediation.plan import Plan
    from regscope.remediation.planning import plan as make_plan

    asked = _policy(policy, rules)
    snap = source.snapshot(known=known, check=check)
    made = make_plan(snap, asked)
    if save:
        click.echo(f"saved in {made.save(save)}", err=True)
    if compare:
        output.show(made.compare(Plan.load(compare)), _DIFFERS, "The plans do not differ.")
    else:
        _show(made, output, None if source.is_saved else made.check(source.fresh_store()))
    finish(snap)


def _policy(path: str | None, options: dict[str, Any]) -> Policy:
    """The policy of a file, with options: these override its rule; `protect` and `in_use` are added to the file's."""
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
    """Show the plan, and what the store lacks of its manifests and blobs; None if that was not looked up."""
    if output.as_csv:
        output.show(made.table, [])
    elif output.as_json:
        summary = _summary(made) | {"lacking": None if lacking is None else lacking.summary()}
        click.echo(readable(summary))
    else:
        output.show_facts(made.title, made.facts(), [], {})
        if len(made.goes):
            click.echo("\nTo be deleted:")
            output.show(made.goes, _GOES)
        if len(made.spared):
            click.echo("\nMatched, but kept:")
            output.show(made.spared, _SPARED)
        for note in made.notes()[1:] + ([] if lacking is None else lacking.notes()):
            click.echo(note, err=True)
        click.echo("nothing was changed; --save FILE saves the plan for `regscope apply`", err=True)


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
@click.option(
    "--max-deletes", type=click.IntRange(min=0), help="Stop after this many deletions; run again to continue."
)
@click.option("--max-bytes", callback=_bytes, metavar="SIZE", help="Stop before more than this is freed.")
@click.option("--backup", metavar="oci:FOLDER", help="First copy what will be deleted into this OCI image layout.")
@click.option("--backup-all", is_flag=True, help="Also copy layers that are kept in the registry.")
@click.option(
    "--journal",
    type=click.Path(dir_okay=False),
    help="Record each step in this file; an existing journal is continued.",
)
@click.option("-n", "--limit", type=click.IntRange(min=0), help="Most steps to show; 25 by default.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON, with every step.")
@click.option("-y", "--yes", is_flag=True, help="Apply the plan. Without this, it is only shown.")
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
    """Apply a PLAN that `regscope plan --save` wrote.

    A plan that contradicts itself, as after an edit, is refused. Its steps are shown first, with or without --yes.

    Each manifest is looked up again before its step: if it has changed since the plan, the step is skipped and
    reported. Each step is recorded in the journal before it is done, so that `regscope undo` can restore it.
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
        click.echo("nothing was changed; add --yes to apply the plan", err=True)
    if not done.ok:
        error = done.stopped_by
        raise click.exceptions.Exit(exit_code(error) if isinstance(error, RegscopeError) else OTHER)
