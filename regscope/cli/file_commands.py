"""Commands about the files in layers: files, file-types, duplicates, twins, drift, diff, secrets, setuid, published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regscope import text
from regscope.cli.inside import inside, inside_of, problems_explain
from regscope.cli.output import Output, columns, finish, prints_table, records
from regscope.cli.source import Source, reads_source

if TYPE_CHECKING:
    import pandas as pd

    from regscope.analysis.diff import Diff
    from regscope.tables import Snapshot

_FILES = columns(size="size", mode="mode", kind="text", layer="number", path="path")
_ENTRIES = columns(layer="number", size="size", mode="mode", kind="text", whiteout="text", path="path")
_LARGEST = columns(size="size", images="number", path="path", created_by="instruction")
_TYPES = columns(by="text", type="text", files="number", bytes="size", distinct_bytes="size")
_DUPLICATES = columns(wasted="size", wasted_stored="size", copies="number", path="path", instruction="text")
_RATIOS = columns(level="text", before="size", after="size", ratio="ratio")
_TWINS = columns(
    group="number",
    size="size",
    saved="size",
    similarity="share",
    reason="text",
    layer_digest="digest",
    created_by="instruction",
)
_DRIFT = columns(
    group="number",
    version="number",
    created="time",
    added="number",
    removed="number",
    changed="number",
    new_bytes="size",
    instruction="text",
)
_SECRETS = columns(
    secret="text", deleted="yes", images="number", layer_digest="digest", path="path", created_by="instruction"
)
_SETUID = columns(
    mode="mode", uid="number", gid="number", capabilities="text", images="number", path="path", created_by="instruction"
)
_PUBLISHED = columns(figure="text", here="figure", published="figure", source="text")
_CHANGES = columns(change="text", size_before="size", size_after="size", differs="text", path="path")
_PACKAGES = columns(manager="text", package="text", change="text", version_before="text", version_after="text")
_CONFIG = columns(key="path", before="text", after="text")
_STEPS = columns(change="text", size_before="size", size_after="size", instruction="text")


@click.command()
@prints_table
@reads_source
@click.argument("image", required=False)
@click.option("--layers", is_flag=True, help="List the tar entries of each layer of IMAGE, whiteouts included.")
def files(source: Source, output: Output, image: str | None, layers: bool) -> None:
    """Summarise all files, or list those of one IMAGE.

    The largest come first. The files of an IMAGE are those that a container sees.
    """
    from regscope.analysis.final_tree import final_files

    if image is None:
        if layers:
            raise click.UsageError("--layers needs an IMAGE; `regscope scan --files --save FOLDER` saves all layers")
        snap, _ = inside(source)
        _show_summary(snap, output)
    else:
        snap, (name,), platform = inside_of(source, image)
        with problems_explain(snap):
            if layers:
                output.show(_entries(snap, name, platform), _ENTRIES)
            else:
                table = final_files(snap, name, platform=platform)
                output.show(table.sort_values(["size", "path"], ascending=[False, True], ignore_index=True), _FILES)
    finish(snap)


@click.command("file-types")
@prints_table
@reads_source
@click.option(
    "--by",
    type=click.Choice(["extension", "magic"]),
    default="extension",
    show_default=True,
    help="How a type is told.",
)
def file_types(source: Source, output: Output, by: str) -> None:
    """List file types by their bytes."""
    from regscope.analysis.largest_files import file_types as find_types

    snap, _ = inside(source)
    table = find_types(snap)
    output.show(table[table["by"] == by].reset_index(drop=True), _TYPES[1:])
    finish(snap)


@click.command()
@prints_table
@reads_source
@click.option("--ratios", is_flag=True, help="Show instead what storing equal layers, and equal files, once saves.")
def duplicates(source: Source, output: Output, ratios: bool) -> None:
    """List file content that is in layers more than once.

    Most wasted bytes first. A layer that several images share counts once.
    """
    from regscope.analysis.file_duplicates import dedup_ratios, file_duplicates

    snap, _ = inside(source)
    if ratios:
        output.show(dedup_ratios(snap), _RATIOS)
    else:
        output.show(file_duplicates(snap), _DUPLICATES, "There are no duplicate files.")
    finish(snap)


@click.command()
@prints_table
@reads_source
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="The share of bytes that must be equal.",
)
def twins(source: Source, output: Output, threshold: float) -> None:
    """List layers with the same files as another one.

    The output states why their digests differ.
    """
    from regscope.analysis.twins import twins as find_twins

    snap, _ = inside(source)
    output.show(find_twins(snap, threshold), _TWINS, "No two layers have the same files.")
    finish(snap)


@click.command()
@prints_table
@reads_source
def drift(source: Source, output: Output) -> None:
    """List layers that changed when they were built again.

    They have the same instruction and the same layers below them, and other content.
    """
    from regscope.analysis.base_drift import base_drift

    snap, _ = inside(source)
    output.show(base_drift(snap), _DRIFT, "No layer was built again with other content.")
    finish(snap)


@click.command()
@prints_table
@reads_source
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
def diff(source: Source, output: Output, before: str, after: str) -> None:
    """Show the changes from image A to image B.

    These are files, packages, labels, build steps and layers; --csv prints only the files.
    """
    from regscope.analysis.diff import diff as compare

    snap, (a, b), platform = inside_of(source, before, after)
    found = compare(snap, a, b, platform=platform)
    if output.as_csv:
        output.show(found.files, [])
    else:
        output.show_facts(
            f"{text.plain(before, 100)} → {text.plain(after, 100)}", found.facts(), found.notes(), _data(found)
        )
        if not output.as_json:
            _show_parts(found, output)
    finish(snap)


@click.command()
@prints_table
@reads_source
def secrets(source: Source, output: Output) -> None:
    """List files that look like keys or tokens.

    Files that a later layer deletes are listed, too: they are still stored. Contents are never shown.
    """
    from regscope.analysis.risky_files import secrets as find_secrets

    snap, _ = inside(source)
    output.show(find_secrets(snap), _SECRETS, "No file looks like a secret.")
    finish(snap)


@click.command()
@prints_table
@reads_source
def setuid(source: Source, output: Output) -> None:
    """List files with the setuid or setgid bit, or with capabilities."""
    from regscope.analysis.risky_files import setuid as find_setuid

    snap, _ = inside(source)
    output.show(find_setuid(snap), _SETUID, "No file has the setuid or setgid bit, or capabilities.")
    finish(snap)


@click.command()
@prints_table
@reads_source
def published(source: Source, output: Output) -> None:
    """Compare figures of SOURCE with those of published studies."""
    from regscope.analysis.published import published as compare

    snap, _ = inside(source)
    table = compare(snap)
    output.show(table if output.is_data else _in_words(table), _PUBLISHED)
    finish(snap)


def _show_summary(snap: Snapshot, output: Output) -> None:
    from regscope.analysis.largest_files import largest_files

    largest = largest_files(snap, 25 if output.limit is None else output.limit)
    read = snap.unpacked
    facts = {
        "layers": f"{len(read):,}, {text.size(int(read['size'].sum()))} as stored",
        "unpacked": f"{text.size(int(read['tar_size'].sum()))}",
        "entries": f"{int(read['entries'].sum()):,}",
        "packages": f"{len(snap.packages):,}",
    }
    if output.as_csv:
        output.show(largest, [])
        return
    about = {
        "location": snap.location,
        "layers": len(read),
        "size": int(read["size"].sum()),
        "tar_size": int(read["tar_size"].sum()),
        "entries": int(read["entries"].sum()),
        "packages": len(snap.packages),
        "largest": records(largest) if output.as_json else [],
    }
    output.show_facts(f"Files in {snap.location}", facts, snap.notes(), about)
    if not output.as_json and len(largest):
        click.echo("\nLargest files")
        output.show(largest, _LARGEST)


def _entries(snap: Snapshot, image: str, platform: str | None) -> pd.DataFrame:
    """The rows of `files` of each layer of an image, the lowest layer first, with the layer's position."""
    import pandas as pd

    from regscope.analysis.image_choice import choose_one
    from regscope.analysis.layer_stacks import layer_stacks
    from regscope.file_rows import COLUMNS, FileRows

    layers = layer_stacks(snap, [choose_one(snap, image, platform)])
    rows = FileRows(snap.files, COLUMNS)
    found = [
        rows.of(layer).assign(layer=place)
        for place, layer in zip(layers["position"], layers["blob_digest"], strict=True)
    ]
    table = pd.concat(found or [rows.of("").assign(layer=0)], ignore_index=True)
    return table[["layer", *COLUMNS]]


def _data(found: Diff) -> dict[str, Any]:
    parts = {name: records(getattr(found, name)) for name in ("files", "packages", "config", "history", "layers")}
    names = ("a", "b", "names", "platforms", "size_before", "size_after", "shared_bytes", "unread")
    return {**{name: getattr(found, name) for name in names}, **parts}


def _show_parts(found: Diff, output: Output) -> None:
    for title, table, shown in (
        ("Packages", found.packages.rename(columns={"name": "package"}), _PACKAGES),
        ("Build steps", found.history, _STEPS),
        ("Config", found.config, _CONFIG),
        ("Files", found.files, _CHANGES),
    ):
        if len(table):
            click.echo(f"\n{title}")
            output.show(table, shown)


def _in_words(table: pd.DataFrame) -> pd.DataFrame:
    """Figures with their units, and each source as its first author and its year."""
    units = table["unit"].tolist()
    cells = {
        column: [_figure(value, unit) for value, unit in zip(table[column].tolist(), units, strict=True)]
        for column in ("here", "published")
    }
    sources = table["source"].str.extract(r"^(?P<author>\w+)(?:.*?\b(?P<year>20\d\d)\b)?").fillna("")
    return table.assign(**cells, source=(sources["author"] + " " + sources["year"]).str.rstrip())


def _figure(value: float, unit: str) -> str:
    if value != value:
        return text.ABSENT
    if unit == "bytes":
        return text.size(value)
    if unit == "share":
        return text.percent(value)
    return f"{value:.2f}" if unit == "ratio" else f"{value:,.0f}"
