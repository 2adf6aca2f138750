"""The tables of a report on the files within layers: what should not be there, what is, and what others found."""

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
    """Files that should be in no image, of `regscope.secrets`: where they are, never what they hold."""
    gone = {True: "hidden, but served", False: "in sight"}
    columns = [
        Column("Kind", "secret", words),
        Column("Path", "path", path),
        Column("State", "state", words),
        *_WHERE,
    ]
    return Section(
        "secrets",
        "Secrets",
        "Files that seem to hold a key, a token or a password. One that a later layer deletes is out of sight, and not "
        "out of the registry.",
        "rs.secrets(snap)",
        table(with_images(snap, found.assign(state=found["deleted"].map(gone))), columns),
        "No file seems to hold a secret. That is no proof: only what is known by its looks is found.",
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
        "Files that run as somebody else",
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
        Column("What it is", "magic", words),
        *_WHERE,
    ]
    return Section(
        "largest-files",
        "Largest files",
        "Of all distinct layers, whether or not a later layer hides them.",
        f"rs.largest_files(snap, {TOP})",
        table(with_images(snap, largest_files(snap, TOP)), columns),
        "There are no files.",
    )


def types(snap: Snapshot) -> list[Section]:
    """What kinds of files take most: by extension, and by their first bytes."""
    found = file_types(snap)
    heads = {
        "extension": ("File types by name", "By the extension of their names; a dash has none."),
        "magic": ("File types by content", "By what their first bytes say; a dash says nothing."),
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
    """The figures of this registry beside those that were published."""
    found = published(snap)
    for name in ("here", "published"):
        found[name] = pd.Series(list(zip(found[name], found["unit"], strict=True)), dtype=object)
    columns = [
        Column("Figure", "figure", words),
        Column("Here", "here", figure),
        Column("Published", "published", figure),
        Column("Source", "source", words),
        Column("How sure", "how_sure", words),
    ]
    return Section(
        "published",
        "Beside published figures",
        "This registry beside what others measured; a dash is what tables cannot tell. Reported is what others say of "
        "the source, not checked there.",
        "rs.published(snap)",
        table(found, columns),
        "There are none.",
    )


def with_images(snap: Snapshot, found: pd.DataFrame) -> pd.DataFrame:
    """With `images_named`: an image that has the layer, and how many others do."""
    used = image_layers(snap)[["digest", "blob_digest"]].drop_duplicates()
    used = used[used["blob_digest"].isin(found["layer_digest"])]
    named = used["digest"].map(image_names(snap)).astype("str").fillna("(no tag)")
    by_layer = used.assign(name=named).sort_values("name").groupby("blob_digest")["name"]
    others = by_layer.size() - 1
    said = by_layer.first() + others.map(lambda n: f" and {n:,} more" if n else "").astype("str")
    return found.assign(images_named=found["layer_digest"].map(said).astype("str"))
