"""The tables of a report on the files in layers: secrets, setuid files, large files, file types, published figures."""

from __future__ import annotations

import pandas as pd

from regscope.analysis.largest_files import file_types, largest_files
from regscope.analysis.names import image_names
from regscope.analysis.published import published
from regscope.analysis.risky_files import setuid
from regscope.analysis.sizes import image_layers
from regscope.tables import Snapshot
from regscope.views.sections import Section
from regscope.views.table import TOP, Column, code, count, digest, figure, mode, number, path, size, table, words

_FEW = 25
_WHERE = (
    Column("Build line", "created_by", code),
    Column("Images", "images_named", words),
    Column("Layer", "layer_digest", digest),
)
"""Where a file is: what made its layer, and the images that have it."""


def secrets(snap: Snapshot, found: pd.DataFrame) -> Section:
    """Files that look like secrets, of `regscope.secrets`: their paths, never their content."""
    gone = {True: "deleted, but stored", False: "visible"}
    columns = [
        Column("Kind", "secret", words),
        Column("Path", "path", path),
        Column("State", "state", words),
        *_WHERE,
    ]
    return Section(
        "secrets",
        "Secrets",
        "Files that look like keys, tokens or passwords. A file that a later layer deletes is still stored in the "
        "registry.",
        "rs.secrets(snap)",
        table(with_images(snap, found.assign(state=found["deleted"].map(gone))), columns),
        "No file looks like a secret. This is no proof: only known patterns are found.",
    )


def running_as_others(snap: Snapshot) -> Section:
    """Files with the setuid or the setgid bit, or with capabilities."""
    columns = [
        Column("Path", "path", path),
        Column("Mode", "mode", mode),
        Column("Owner", "uid", number),
        Column("Group", "gid", number),
        *_WHERE,
        Column("Capabilities", "capabilities", words),
    ]
    return Section(
        "setuid",
        "Setuid and setgid files",
        "Files with the setuid or the setgid bit, or with capabilities, in all distinct layers.",
        "rs.setuid(snap)",
        table(with_images(snap, setuid(snap)), columns, top=_FEW),
        "There are none.",
    )


def large_files(snap: Snapshot) -> Section:
    """The largest files of all distinct layers."""
    columns = [
        Column("Path", "path", path),
        Column("Size", "size", size),
        Column("Content", "magic", words),
        *_WHERE,
    ]
    return Section(
        "largest-files",
        "Largest files",
        "The files of all distinct layers, including those that a later layer hides.",
        f"rs.largest_files(snap, {TOP})",
        table(with_images(snap, largest_files(snap, TOP)), columns),
        "There are no files.",
    )


def types(snap: Snapshot) -> list[Section]:
    """The file types with the most bytes: by extension, and by their first bytes."""
    found = file_types(snap)
    heads = {
        "extension": ("File types by name", "By the extension of the name; a dash means no extension."),
        "magic": ("File types by content", "By the first bytes of the content; a dash means no known type."),
    }
    columns = [
        Column("Type", "type", words),
        Column("Bytes", "bytes", size),
        Column("Each content once", "distinct_bytes", size),
        Column("Files", "files", count),
    ]
    return [
        Section(
            f"types-{by}",
            heading,
            f"Regular files of all distinct layers. {sentence}",
            f"rs.file_types(snap).query(\"by == '{by}'\")",
            table(found[found["by"] == by], columns, weight="bytes", top=_FEW),
            "There are no files.",
        )
        for by, (heading, sentence) in heads.items()
    ]


def figures_of_others(snap: Snapshot) -> Section:
    """The figures of this registry beside published ones."""
    found = published(snap)
    for name in ("here", "published"):
        found[name] = pd.Series(list(zip(found[name], found["unit"], strict=True)), dtype=object)
    columns = [
        Column("Figure", "figure", words),
        Column("Here", "here", figure),
        Column("Published", "published", figure),
        Column("Source", "source", words),
        Column("Reliability", "how_sure", words),
    ]
    return Section(
        "published",
        "Published figures",
        "The figures of this registry beside published ones; a dash means that the snapshot does not give the figure. "
        "Reported figures were taken from other publications, not from the source itself.",
        "rs.published(snap)",
        table(found, columns),
        "There are none.",
    )


def with_images(snap: Snapshot, found: pd.DataFrame) -> pd.DataFrame:
    """Adds `images_named`: the name of one image with the layer, and the number of others."""
    used = image_layers(snap)[["digest", "blob_digest"]].drop_duplicates()
    used = used[used["blob_digest"].isin(found["layer_digest"])]
    named = used["digest"].map(image_names(snap)).astype("str").fillna("(no tag)")
    by_layer = used.assign(name=named).sort_values("name").groupby("blob_digest")["name"]
    others = by_layer.size() - 1
    said = by_layer.first() + others.map(lambda n: f" and {n:,} more" if n else "").astype("str")
    return found.assign(images_named=found["layer_digest"].map(said).astype("str"))
