"""The tables of a report on the bytes in layers: wasted bytes, duplicate files, twin layers and changed rebuilds."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.base_drift import base_drift
from regscope.analysis.dive_efficiency import dive_efficiency
from regscope.analysis.file_duplicates import dedup_ratios
from regscope.analysis.layer_stacks import layer_stacks
from regscope.tables import Snapshot
from regscope.views.content_sections import with_images
from regscope.views.sections import Section
from regscope.views.table import TOP, Column, code, count, day, digest, path, share, size, table, times, words

_MOST_ENTRIES = 200_000  # dive's figures need a loop in Python over all entries


def unread() -> Section:
    """The section that replaces the others if no layer was read."""
    return Section(
        "files",
        "Inside the layers",
        "With a snapshot that includes files, this page also lists wasted and duplicate files, and secrets.",
        "snap = rs.scan_files(snap, store)",
        table(pd.DataFrame(), []),
        "The files in the layers were not read. The call above reads each layer once, and caches its files.",
    )


def waste_by_image(snap: Snapshot, waste: pd.DataFrame) -> Section:
    """The wasted bytes of each image, of `regscope.waste`."""
    layers = layer_stacks(snap)
    tar_sizes = layers.groupby("digest")["tar_size"].sum()
    by_image = waste.groupby("digest", sort=False)
    found = by_image.agg(
        name=("name", "first"), files=("files", "sum"), bytes=("bytes", "sum"), compressed=("compressed", "sum")
    ).reset_index()
    found["name"] = found["name"].astype("str").fillna("(no tag)")
    by_cause = waste.groupby(["digest", "cause"], observed=True)["bytes"].sum().sort_values(ascending=False)
    found["cause"] = found["digest"].map(by_cause.reset_index().drop_duplicates("digest").set_index("digest")["cause"])
    found["share"] = found["bytes"] / found["digest"].map(tar_sizes)
    found = found.sort_values(["bytes", "digest"], ascending=[False, True], ignore_index=True)
    found["efficiency"] = found["digest"].map(_efficiency(snap, layers, found["digest"].head(TOP))).astype("float64")
    columns = [
        Column("Image", "name", words),
        Column("Wasted", "bytes", size),
        Column("As stored, about", "compressed", size),
        Column("Share of layers", "share", share),
        Column("Files", "files", count),
        Column("Main cause", "cause", words),
        Column("dive's efficiency", "efficiency", share),
        Column("Digest", "digest", digest),
    ]
    return Section(
        "waste-images",
        "Waste by image",
        "Files that a later layer overwrites, deletes or moves: no container sees them, and every pull transfers them. "
        "Sizes are uncompressed, except the stored ones; the efficiency is that of the tool dive, for images with few "
        "files.",
        "rs.waste(snap)",
        table(found, columns, weight="bytes", meaning="wasted"),
        "No image has wasted files.",
    )


def _efficiency(snap: Snapshot, layers: pd.DataFrame, images: pd.Series[str]) -> pd.Series[float]:
    """dive's efficiency by digest, of the first of `images` until these have `_MOST_ENTRIES` entries."""
    entries = layers["blob_digest"].map(snap.unpacked.set_index(snap.unpacked["layer_digest"].astype("str"))["entries"])
    of_image = entries.groupby(layers["digest"]).sum().reindex(images)
    quick = of_image.index[of_image.cumsum() <= _MOST_ENTRIES].tolist()
    found = dive_efficiency(snap, quick) if quick else pd.DataFrame({"digest": [], "efficiency": []})
    return found.set_index("digest")["efficiency"]


def waste_by_instruction(waste: pd.DataFrame) -> Section:
    """The build instructions that add wasted files, and those that hide them, of `regscope.waste`."""
    by = ["brought_by", "caused_by", "cause"]
    found = waste.groupby(by, observed=True, as_index=False).agg(
        images=("digest", "nunique"), files=("files", "sum"), bytes=("bytes", "sum"), compressed=("compressed", "sum")
    )
    found = found.sort_values(["bytes", *by], ascending=[False, True, True, True], ignore_index=True)
    columns = [
        Column("Added by", "brought_by", code),
        Column("Hidden by", "caused_by", code),
        Column("Cause", "cause", words),
        Column("Wasted", "bytes", size),
        Column("As stored, about", "compressed", size),
        Column("Files", "files", count),
        Column("Images", "images", count),
    ]
    return Section(
        "waste-instructions",
        "Waste by build line",
        "The build lines that add files and those that hide them. Files of a shared layer count once for each image.",
        'rs.waste(snap).groupby(["brought_by", "caused_by", "cause"])["bytes"].sum()',
        table(found, columns, weight="bytes", meaning="wasted"),
        "No image has wasted files.",
    )


def duplicates(found: pd.DataFrame) -> Section:
    """Content that is stored more than once, of `regscope.file_duplicates`."""
    columns = [
        Column("Example", "path", path),
        Column("Wasted", "wasted", size),
        Column("As stored, about", "wasted_stored", size),
        Column("One copy", "size", size),
        Column("Copies", "copies", count),
        Column("Layers", "layers", count),
        Column("Images", "images", count),
        Column("Repositories", "repositories", count),
        Column("Mostly added by", "instruction", code),
    ]
    return Section(
        "duplicates",
        "Files stored more than once",
        "Equal content in distinct layers, or at several paths; all copies but one are wasted. Registries share only "
        "whole layers, so only a different division into layers would save this.",
        "rs.file_duplicates(snap)",
        table(found, columns, weight="wasted", meaning="wasted"),
        "No file is stored more than once.",
    )


def ratios(snap: Snapshot) -> Section:
    """What sharing layers saves, and what sharing files would save in addition."""
    found = dedup_ratios(snap)
    words_of = {
        "layers": "Layers, as stored: for each image, and stored once (as registries do)",
        "files": "Files of the distinct layers, uncompressed: all files, and each content once (no registry does this)",
    }
    found = found.assign(what=found["level"].astype("str").map(words_of))
    columns = [
        Column("What", "what", words),
        Column("With duplicates", "before", size),
        Column("Without", "after", size),
        Column("Ratio", "ratio", times),
    ]
    return Section(
        "dedup-ratios",
        "Deduplication of layers, and of files",
        "The two ratios are about different bytes (compressed and uncompressed), and must not be multiplied.",
        "rs.dedup_ratios(snap)",
        table(found, columns),
        "There is nothing to deduplicate.",
    )


def twin_layers(snap: Snapshot, found: pd.DataFrame) -> Section:
    """Layers with the same files and different digests, of `regscope.twins`."""
    columns = [
        Column("Group", "group", count),
        Column("Layer", "layer_digest", digest),
        Column("Size", "size", size),
        Column("Differs in", "reason", words),
        Column("A reproducible build saves", "saved", size),
        Column("Build line", "created_by", code),
        Column("Images", "images_named", words),
    ]
    return Section(
        "twins",
        "Twin layers",
        "Layers with the same files and different digests, from builds that are not reproducible; each is stored.",
        "rs.twins(snap)",
        table(with_images(snap, found), columns, weight="saved", meaning="to be saved"),
        "No two layers have the same files.",
    )


def drift(snap: Snapshot) -> Section:
    """Layers of the same build instruction with different content."""
    found = base_drift(snap)
    found = found.assign(which=found["version"].astype("str") + " of " + found["versions"].astype("str"))
    columns = [
        Column("Build line", "instruction", code),
        Column("Version", "which", words),
        Column("Size", "size", size),
        Column("Built", "created", day),
        Column("Added", "added", count),
        Column("Removed", "removed", count),
        Column("Changed", "changed", count),
        Column("New bytes", "new_bytes", size),
        Column("Images", "images", count),
        Column("Layer", "layer_digest", digest),
    ]
    return Section(
        "drift",
        "Rebuilds with changed content",
        "Layers of the same build line on the same lower layers, with different files; the changes are counted in "
        "entries, against the version before.",
        "rs.base_drift(snap)",
        table(found, columns, weight="size"),
        "No layer was rebuilt with changed content.",
    )
