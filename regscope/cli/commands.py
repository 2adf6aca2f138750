"""Commands that only read: scan, report, tags, layers, sharing, what-if, history, lineage, capabilities, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from regscope.cli.inside import inside, no_such_image
from regscope.cli.output import Output, columns, finish, prints_table
from regscope.cli.source import CHECK, Source, reads_source
from regscope.errors import CapabilityWarning, InvalidInput
from regscope.spec.reference import split_image
from regscope.text import plain

if TYPE_CHECKING:
    import pandas as pd

    from regscope.tables import Snapshot

_FILES_TOO = click.option("--files", is_flag=True, help="Also read the files in the layers.")
_LAYERS = columns(size="size", images="number", saved="size", blob_digest="digest", created_by="instruction")
_IMAGE_LAYERS = columns(platform="text", position="number", size="size", blob_digest="digest", created_by="instruction")
_COST = columns(stored="size", referenced="size", images="number", layers="number", instruction="text")
_STEPS = columns(platform="text", step="number", size="size", created="time", created_by="instruction")
_TAGS = columns(repository="text", tag="text", digest="digest", unique="size", exclusive="size", created="time")
_LINEAGE = columns(name="text", base_name="text", own_layers="number", own_size="size", newer_base="text")
_KEPT = columns(repository="text", tag="text", reason="text")
_SHARING = columns(unique="size", shared="size", exclusive="size", dedup_ratio="ratio")
_NAMES = {
    "registry": [],
    "repository": columns(repository="text"),
    "tag": columns(repository="text", tag="text"),
    "image": columns(digest="digest"),
}


@click.command()
@prints_table
@reads_source
@_FILES_TOO
@click.option("--save", type=click.Path(file_okay=False), help="Write the tables as Parquet files into this folder.")
@click.option(
    "--known", multiple=True, metavar="FOLDER", help="An earlier scan; finds manifests untagged since. Repeatable."
)
@CHECK
def scan(source: Source, output: Output, files: bool, save: str | None, known: tuple[str, ...], check: bool) -> None:
    """Read the metadata of every image, and show a summary."""
    from regscope.schema import TABLES
    from regscope.snapshot_folder import SnapshotFolder

    if files and check:
        raise click.UsageError("--files and --check exclude each other: run two scans")
    if save:
        SnapshotFolder(save).check_free()  # before the scan, which can take hours
    snap = inside(source)[0] if files else source.snapshot(known=known, check=check)
    rows = {name: len(getattr(snap, name)) for name in TABLES}
    about = {"location": snap.location, "taken_at": snap.taken_at.isoformat(), "rows": rows, "facts": snap.facts()}
    output.show_facts(f"{plain(snap.location)}", snap.facts(), snap.notes(), about)
    if save:
        click.echo(f"saved in {snap.save(save)}", err=True)
    finish(snap)


@click.command()
@reads_source
@_FILES_TOO
@click.option("-o", "--output", "path", default="regscope-report.html", show_default=True, help="The file to write.")
def report(source: Source, files: bool, path: str) -> None:
    """Write a report of SOURCE as one self-contained HTML file."""
    from regscope.views.report import report as make_report

    snap = inside(source)[0] if files else source.snapshot()
    click.echo(f"report written to {make_report(snap).save(path)}")
    finish(snap)


@click.command()
@prints_table
@reads_source
@click.argument("repository_name", metavar="[REPOSITORY]", required=False)
def tags(source: Source, output: Output, repository_name: str | None) -> None:
    """List tags with unique and exclusive bytes.

    `unique` is all that the tag needs, `exclusive` what no other tag needs.
    """
    from regscope.analysis.sharing import tag_weights
    from regscope.registry.endpoint import full_name

    snap = source.snapshot(repository_name)
    table = tag_weights(snap)
    if repository_name:
        table = table[table["repository"] == full_name(snap.location, repository_name)]
    output.show(table, _TAGS)
    finish(snap)


@click.command()
@prints_table
@reads_source
@click.argument("image", required=False)
def layers(source: Source, output: Output, image: str | None) -> None:
    """List the largest layers, or those of one IMAGE (repository:tag)."""
    from regscope.analysis.sizes import layer_sizes

    if image is None:
        snap = source.snapshot()
        output.show(layer_sizes(snap), _LAYERS)
    else:
        snap, images = _one_image(source, image)
        output.show(_of_each(snap.layers, images), _IMAGE_LAYERS)
    finish(snap)


@click.command()
@prints_table
@reads_source
@click.option(
    "--level", type=click.Choice(list(_NAMES)), default="repository", show_default=True, help="What to compare."
)
def sharing(source: Source, output: Output, level: str) -> None:
    """Show shared and exclusive bytes.

    `exclusive` is what deleting this repository, tag or image alone frees.
    """
    from regscope.analysis.sharing import sharing as who_shares

    snap = source.snapshot()
    table = who_shares(snap)
    output.show(table[table["level"] == level].reset_index(drop=True), [*_NAMES[level], *_SHARING])
    finish(snap)


@click.command("what-if")
@prints_table
@reads_source
@click.argument("delete", nargs=-1, required=True)
def what_if(source: Source, output: Output, delete: tuple[str, ...]) -> None:
    """Show what deleting would free; nothing is deleted.

    DELETE is one or more of repository, repository:tag, repository@digest or digest, deleted together; * matches
    any text.
    """
    from regscope.analysis.what_if import what_if as ask

    snap = source.snapshot()
    answer = ask(snap, delete=list(delete))
    if output.as_csv:
        output.show(answer.gone, [])
    else:
        parts = {name: getattr(answer, name).to_dict("records") for name in ("gone", "kept", "blobs")}
        about = {"freed_bytes": answer.freed_bytes, "at_most": answer.at_most, **parts}
        output.show_facts("If deleted", answer.facts(), answer.notes(), about)
    if not output.as_json and not output.as_csv and len(answer.kept):
        click.echo("\nNamed, but kept:")
        output.show(answer.kept, _KEPT)
    finish(snap)


@click.command()
@prints_table
@reads_source
@click.argument("image", required=False)
def history(source: Source, output: Output, image: str | None) -> None:
    """List build steps by bytes, or those of one IMAGE.

    Without IMAGE, equal build instructions of all images are one row, with their stored bytes.
    """
    from regscope.analysis.history_cost import history_cost

    if image is None:
        snap = source.snapshot()
        output.show(history_cost(snap), _COST)
    else:
        snap, images = _one_image(source, image)
        output.show(_of_each(snap.history, images), _STEPS)
    finish(snap)


@click.command()
@prints_table
@reads_source
def lineage(source: Source, output: Output) -> None:
    """List base images, and newer versions of them."""
    from regscope.analysis.lineage import lineage as find_lineage

    snap = source.snapshot()
    output.show(find_lineage(snap), _LINEAGE)
    finish(snap)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@reads_source
def capabilities(source: Source, as_json: bool) -> None:
    """Show what a registry supports.

    Catalog, deletion, referrers and ranges are tested by requests that change nothing. They are about the repository
    that -r names, else the first in the catalog.
    """
    import warnings
    from dataclasses import asdict

    store = source.store()
    for repository in source.repository:
        store.tags(repository)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CapabilityWarning)  # the output has the same content
        found = store.capabilities
    if found is None:
        raise InvalidInput(f"{store.location} is no registry", next_step="Name a registry: registry.example.com.")
    Output(as_json, as_csv=False, limit=None).show_facts(plain(store.location), found.facts(), (), asdict(found))


@click.command()
@click.argument("folder", default="regscope-demo", type=click.Path(file_okay=False))
def demo(folder: str) -> None:
    """Build a sample OCI layout, and analyse it.

    The layout, a report and the file tree of one image are written to FOLDER. The images are made from this Python
    installation; no network, server or account is needed.
    """
    from regscope.analysis.history_cost import history_cost
    from regscope.analysis.sharing import tag_weights
    from regscope.analysis.sizes import layer_sizes
    from regscope.demo import build_demo, check_free_for_demo
    from regscope.scanning.files import scan_files
    from regscope.scanning.metadata import scan as scan_store
    from regscope.stores.oci_layout import OCILayoutStore
    from regscope.views.file_tree import file_tree
    from regscope.views.report import report as make_report

    check_free_for_demo(Path(folder), Path(folder) / "layout")
    layout = build_demo(Path(folder) / "layout")
    store = OCILayoutStore(layout)
    snap = scan_files(scan_store(store), store)
    output = Output(as_json=False, as_csv=False, limit=None)
    click.echo(f"{snap!r}\n")
    for title, table, shown in (
        ("Tags", tag_weights(snap), _TAGS),
        ("Largest layers", layer_sizes(snap), _LAYERS),
        ("Build instructions by cost", history_cost(snap), _COST),
    ):
        click.echo(title)
        output.show(table.head(8), shown)
        click.echo()
    click.echo(f"report   {make_report(snap).save(Path(folder) / 'report.html')}")
    click.echo(f"files    {file_tree(snap, 'team/importer:1').save(Path(folder) / 'files.html')}")
    click.echo(f"layout   oci:{layout}")
    click.echo(f"next     regscope what-if oci:{layout} 'team/worker:1.*'")


def _one_image(source: Source, image: str) -> tuple[Snapshot, pd.DataFrame]:
    """The snapshot of one tag or digest, and `digest` and `platform` of the images below it."""
    from regscope.analysis.sizes import image_sizes
    from regscope.registry.endpoint import full_name

    repository, tag, digest = split_image(image)
    tag = tag or (None if digest else "latest")
    snap = source.snapshot(repository, tag)
    images = image_sizes(snap)
    is_named = images["tag"].eq(tag) if tag else images["digest"].eq(digest or "")
    found = images[images["repository"].eq(full_name(snap.location, repository)) & is_named]
    if found.empty:
        finish(snap)
        raise no_such_image(snap, image)
    return snap, found[["digest", "platform"]].drop_duplicates()


def _of_each(table: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    return images.merge(table.assign(digest=table["digest"].astype("str")), on="digest")
