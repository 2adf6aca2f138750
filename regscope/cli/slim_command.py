"""`regscope slim`: rewrites an image without deleted and overwritten files; it is pushed only with --yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regscope import text
from regscope.cli.output import Output, columns, records
from regscope.cli.source import Source, opens_source
from regscope.spec.json_forms import readable

if TYPE_CHECKING:
    from regscope.remediation.rewriting import Rewriting, Rewritten

_LAYERS = columns(
    platform="text",
    position="number",
    size="size",
    new_size="size",
    entries_dropped="number",
    bytes_dropped="size",
    shared_with="number",
    created_by="instruction",
)


@click.command()
@opens_source
@click.argument("image")
@click.option("--tag", required=True, metavar="NEW", help="The name of the new image: a tag, or repository:tag.")
@click.option("-p", "--platform", help="Only the image of an index for this platform; all by default.")
@click.option("--recompress", type=click.Choice(["gzip", "zstd"]), help="Also compress all layers in this way.")
@click.option("--level", type=int, help="Compression level: 0 to 9 for gzip, 1 to 22 for zstd; with --recompress.")
@click.option("--leave", multiple=True, metavar="DIGEST", help="Do not change this layer; repeatable.")
@click.option(
    "--scan", is_flag=True, help="First scan all of SOURCE, to show shared layers and the change of its size."
)
@click.option("--overwrite", is_flag=True, help="Move NEW if it exists already.")
@click.option("-y", "--yes", is_flag=True, help="Push the new image. Without this, it is only shown.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON.")
def slim(
    source: Source,
    image: str,
    tag: str,
    platform: str | None,
    recompress: Any,
    level: int | None,
    leave: tuple[str, ...],
    scan: bool,
    overwrite: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Rewrite IMAGE without hidden files.

    Hidden files are those that an upper layer overwrites or deletes. The final file system is the same, and so is the
    config, except for its layers and history. The sizes shown are exact: layers are rewritten to temporary files. The
    original image is kept, and nothing is deleted.
    """
    from regscope.remediation.slimming import slim as make_slim

    if level is not None and recompress is None:
        raise click.UsageError("--level needs --recompress")
    store = source.store()
    snap = source.scan(store) if scan else None
    found = make_slim(store, image, tag, platform=platform, snap=snap, leave=leave, recompress=recompress, level=level)
    done = found.apply(source.fresh_store(), dry_run=not yes, overwrite=overwrite)
    if as_json:
        click.echo(readable(_summary(found, done)))
        return
    click.echo(text.facts(f"{found.title} {found.name}", found.facts(), found.notes()))
    Output(False, False, None).show(found.layers, _LAYERS)
    if done.dry_run:
        click.echo("nothing was pushed; add --yes to push", err=True)
    else:
        click.echo(f"pushed {text.plain(done.name)}  {done.digest}", err=True)


def _summary(found: Rewriting, done: Rewritten) -> dict[str, Any]:
    return {
        "image": found.name,
        "digest": found.tree.before.digest,
        "new_image": found.to,
        "new_digest": found.digest,
        "changed": found.is_changed,
        "pushed": not done.dry_run,
        "size_before": found.size_before,
        "size_after": found.size_after,
        "saved": found.size_before - found.size_after,
        "stored": done.actual_bytes,
        "registry": None if found.registry is None else found.registry._asdict(),
        "layers": records(found.layers),
        "notes": found.notes(),
    }
