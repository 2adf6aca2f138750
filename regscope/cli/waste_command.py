"""`regscope waste`: bytes in images that no container sees; with --ci, dive's rules as a check for CI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.core import ParameterSource

from regscope import text
from regscope.cli.exit_codes import OTHER
from regscope.cli.gate import FAIL, PASS, Limits, in_words, ratio_limit, size_limit, verdicts
from regscope.cli.inside import inside, inside_of, problems_explain
from regscope.cli.output import Output, columns, finish, finite, prints_table, say_problems
from regscope.cli.source import Source, reads_source
from regscope.errors import ContentMissing
from regscope.spec.json_forms import readable

if TYPE_CHECKING:
    import pandas as pd

    from regscope.tables import Snapshot

Command = TypeVar("Command", bound=Callable[..., Any])

_CAUSES = ["overwritten", "deleted", "attributes only", "same content elsewhere"]
_OF_ONE = columns(bytes="size", compressed="size", files="number", cause="text", caused_by="text", brought_by="text")
_OF_MANY = columns(bytes="size", compressed="size", files="number", name="text", cause="text", caused_by="text")
_FILES = columns(bytes="size", compressed="size", cause="text", path="path", caused_by="text")
_DIVE = columns(efficiency="share", wasted_bytes="size", user_wasted_percent="share", size="size", name="text")


def _limit(name: str, parse: Callable[..., float | None], default: str, words: str) -> Callable[[Command], Command]:
    return click.option(name, callback=parse, default=default, show_default=True, metavar="LIMIT", help=words)


@click.command()
@prints_table
@reads_source
@click.argument("images", nargs=-1, metavar="[IMAGE]...")
@click.option("--files", "by_file", is_flag=True, help="List the wasted files of one IMAGE, largest first.")
@click.option("--cause", type=click.Choice(_CAUSES), help="Only bytes wasted for this cause.")
@click.option("--compat", type=click.Choice(["dive"]), help="Show the figures that dive computes instead.")
@click.option("--ci", is_flag=True, help="Check each image with dive's three rules; exit with 1 if one fails.")
@_limit(
    "--lowest-efficiency", ratio_limit, "0.9", "Least share of bytes that is not duplicate, from 0 to 1; with --ci."
)
@_limit("--highest-wasted-bytes", size_limit, "disabled", "Most wasted bytes, such as 20MB; with --ci.")
@_limit(
    "--highest-user-wasted-percent", ratio_limit, "0.1", "Most wasted share of the layers above the lowest; with --ci."
)
def waste(
    source: Source,
    output: Output,
    images: tuple[str, ...],
    by_file: bool,
    cause: str | None,
    compat: Literal["dive"] | None,
    ci: bool,
    lowest_efficiency: float | None,
    highest_wasted_bytes: int | None,
    highest_user_wasted_percent: float | None,
) -> None:
    """List wasted bytes: files in layers that no container sees.

    They are listed by cause and build instruction, of the IMAGEs or of all images; * matches any text, as in
    'team/app:*'. Wasted files are those that a later layer overwrites or deletes. --ci and --compat use the figures of
    dive, which are computed differently; limits are ratios from 0 to 1, sizes, or `disabled`.
    """
    from regscope.analysis.waste import waste as find_waste

    _check_options(images, by_file, cause, compat, ci)
    if by_file:
        _show_files(source, output, images[0], cause)
        return
    snap, names = inside(source, images)
    with problems_explain(snap):
        table = find_waste(snap, names or None, compat="dive" if ci else compat)
    table = _for(table, cause)
    if ci:
        _judge(snap, table, Limits(lowest_efficiency, highest_wasted_bytes, highest_user_wasted_percent), output)
    elif compat:
        output.show(table, _DIVE, "There is no image.")
    elif images and table["digest"].nunique() == 1:
        _show_one(table, output)
    else:
        output.show(table, _OF_MANY, "Nothing is wasted.")
    finish(snap)


def _check_options(images: tuple[str, ...], by_file: bool, cause: str | None, compat: str | None, ci: bool) -> None:
    if (by_file or cause) and (ci or compat):
        raise click.UsageError("--files and --cause cannot be used with --ci or --compat")
    if by_file and len(images) != 1:
        raise click.UsageError("--files needs one IMAGE")
    context = click.get_current_context()
    for option in ("lowest_efficiency", "highest_wasted_bytes", "highest_user_wasted_percent"):
        if not ci and context.get_parameter_source(option) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{option.replace('_', '-')} needs --ci")


def _for(table: pd.DataFrame, cause: str | None) -> pd.DataFrame:
    return table if cause is None else table[table["cause"] == cause].reset_index(drop=True)


def _show_one(table: pd.DataFrame, output: Output) -> None:
    if not output.is_data:
        files, stored = text.count(int(table["files"].sum()), "file"), text.size(int(table["compressed"].sum()))
        click.echo(f"{text.size(int(table['bytes'].sum()))} in {files}, about {stored} as stored")
    output.show(table, _OF_ONE)


def _show_files(source: Source, output: Output, image: str, cause: str | None) -> None:
    from regscope.analysis.waste import wasted_files

    snap, (name,), platform = inside_of(source, image)
    with problems_explain(snap):
        table = wasted_files(snap, name, platform=platform)
    output.show(_for(table, cause), _FILES, "Nothing is wasted.")
    finish(snap)


def _judge(snap: Snapshot, figures: pd.DataFrame, limits: Limits, output: Output) -> None:
    import pandas as pd

    if figures.empty:
        finish(snap)
        raise ContentMissing(f"{snap.location} has no image to check", next_step="List the tags: regscope tags.")
    found = verdicts(figures, limits)
    has_failed = FAIL in {verdict.result for verdict in found}
    if output.as_csv:
        output.show(pd.DataFrame(found, dtype=object), [])
    elif output.as_json:
        rules = [{**verdict._asdict(), "value": finite(verdict.value)} for verdict in found]
        click.echo(readable({"result": FAIL if has_failed else PASS, "rules": rules}))
    else:
        click.echo(in_words(found))
    if has_failed:
        say_problems(snap)
        raise click.exceptions.Exit(OTHER)
