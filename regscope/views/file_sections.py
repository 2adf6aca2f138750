"""The tables of a report on the bytes within layers: wasted, stored more than once, built anew without need."""

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

_MOST_ENTRIES = 200_000  # dive's figures take a step in Python for each


def unread() -> Section:
    """In place of the others, where no layer was read."""
    return Section(
        "files",
        "Inside the layers",
        "Which files are wasted, stored twice, or should not be there; this page says so of a snapshot with files.",
        "snap = rs.scan_files(snap, store)",
        table(pd.DataFrame(), []),
        "The files within the layers were not read. The call above reads each layer once, and remembers it.",
    )


def waste_by_image(snap: Snapshot, waste: pd.DataFrame) -> Section:
    """What each image wastes, of `regscope.waste`."""
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
        Column("Of its layers", "share", share),
        Column("Files", "files", count),
        Column("Most of it", "cause", words),
        Column("dive's efficiency", "efficiency", share),
        Column("Digest", "digest", digest),
    ]
    return Section(
        "waste-images",
        "Waste by image",
        "Files that a later layer overwrites, deletes or moves: nobody sees them, and everybody pulls them. "
        "Uncompressed, unless it is said otherwise; the efficiency is what the tool dive says, where it is quick to "
        "know.",
        "rs.waste(snap)",
        table(found, columns, weight="bytes", meaning="wasted"),
        "No image that was read wastes anything.",
    )


def _efficiency(snap: Snapshot, layers: pd.DataFrame, images: pd.Series[str]) -> pd.Series[float]:
    """dive's efficiency of the first of `images`, as many as are quick to look through, by digest."""
    entries = layers["blob_digest"].map(snap.unpacked.set_index(snap.unpacked["layer_digest"].astype("str"))["entries"])
    of_image = entries.groupby(layers["digest"]).sum().reindex(images)
    quick = of_image.index[of_image.cumsum() <= _MOST_ENTRIES].tolist()
    found = dive_efficiency(snap, quick) if quick else pd.DataFrame({"digest": [], "efficiency": []})
    return found.set_index("digest")["efficiency"]


def waste_by_instruction(waste: pd.DataFrame) -> Section:
    """Which build instructions bring what others hide, of `regscope.waste`."""
    by = ["brought_by", "caused_by", "cause"]
    found = waste.groupby(by, observed=True, as_index=False).agg(
        images=("digest", "nunique"), files=("files", "sum"), bytes=("bytes", "sum"), compressed=("compressed", "sum")
    )
    found = found.sort_values(["bytes", *by], ascending=[False, True, True, True], ignore_index=True)
    columns = [
        Column("Brought by", "brought_by", code),
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
        "Which line brings files and which one hides them. Each image counts, so what images share is in it several "
        "times.",
        'rs.waste(snap).groupby(["brought_by", "caused_by", "cause"])["bytes"].sum()',
        table(found, columns, weight="bytes", meaning="wasted"),
        "No image that was read wastes anything.",
    )


def duplicates(found: pd.DataFrame) -> Section:
    """Content that is stored more than once, of `regscope.file_duplicates`."""
    columns = [
        Column("For example", "path", path),
        Column("Wasted", "wasted", size),
        Column("As stored, about", "wasted_stored", size),
        Column("One copy", "size", size),
        Column("Copies", "copies", count),
        Column("Layers", "layers", count),
        Column("Images", "images", count),
        Column("Repositories", "repositories", count),
        Column("Mostly brought by", "instruction", code),
    ]
    return Section(
        "duplicates",
        "Files stored more than once",
        "Equal content in distinct layers, or at several paths; wasted are all copies but one. No registry shares "
        "files, so only other layers would save this.",
        "rs.file_duplicates(snap)",
        table(found, columns, weight="wasted", meaning="wasted"),
        "No content is stored twice.",
    )


def ratios(snap: Snapshot) -> Section:
    """What sharing layers saves, and what sharing files would save on top of it."""
    found = dedup_ratios(snap)
    words_of = {
        "layers": "Layers, as stored: each image with its own against each once, as registries do",
        "files": "Files of the distinct layers, uncompressed: each against each content once, as no registry does",
    }
    found = found.assign(what=found["level"].astype("str").map(words_of))
    columns = [
        Column("What", "what", words),
        Column("With repetitions", "before", size),
        Column("Once each", "after", size),
        Column("Ratio", "ratio", times),
    ]
    return Section(
        "dedup-ratios",
        "Deduplication of layers, and of files",
        "Two different things in different bytes, that must not be multiplied.",
        "rs.dedup_ratios(snap)",
        table(found, columns),
        "There is nothing to deduplicate.",
    )


def twin_layers(snap: Snapshot, found: pd.DataFrame) -> Section:
    """Layers that are the same in all but their digest, of `regscope.twins`."""
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
        "Layers with the same files and different digests, from builds that are not reproducible: each is stored.",
        "rs.twins(snap)",
        table(with_images(snap, found), columns, weight="saved", meaning="to be saved"),
        "No two layers hold the same files.",
    )


def drift(snap: Snapshot) -> Section:
    """Layers that the same line made again with other content."""
    found = base_drift(snap)
    found = found.assign(which=found["version"].astype("str") + " of " + found["versions"].astype("str"))
    columns = [
        Column("Build line", "instruction", code),
        Column("Version", "which", words),
        Column("Size", "size", size),
        Column("Of", "created", day),
        Column("Added", "added", count),
        Column("Removed", "removed", count),
        Column("Changed", "changed", count),
        Column("New bytes", "new_bytes", size),
        Column("Images", "images", count),
        Column("Layer", "layer_digest", digest),
    ]
    return Section(
        "drift",
        "Rebuilds that came out otherwise",
        "Layers that the same line made on the same layers with other files; changes are entries against the version "
        "before.",
        "rs.base_drift(snap)",
        table(found, columns, weight="size"),
        "No layer was rebuilt with other content.",
    )
