"""The tables of a report, one section each: heading, description, and the call that returns the same table."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from regscope.analysis.history_cost import history_cost
from regscope.analysis.lineage import lineage
from regscope.analysis.sizes import image_sizes
from regscope.tables import Snapshot
from regscope.views.table import (
    NAMED,
    Column,
    Table,
    code,
    count,
    day,
    days,
    digest,
    size,
    table,
    times,
    two_parts,
    words,
)

PROBLEMS = [
    Column("Repository", "repository", words),
    Column("Reference", "reference", words),
    Column("What", "what", words),
    Column("Why", "error", words),
]
"""What is shown of `Snapshot.problems`."""


@dataclass(frozen=True)
class Section:
    """One table with its heading.

    Attributes:
        key: the id of the section in the page.
        heading: the heading.
        sentence: the description of the rows.
        call: the Python expression that returns the same table.
        table: the rows.
        nothing: the text shown if there are no rows.
    """

    key: str
    heading: str
    sentence: str
    call: str
    table: Table
    nothing: str


def layers(sizes: pd.DataFrame) -> Section:
    """The largest layers, of `regscope.layer_sizes`."""
    columns = [
        Column("Layer", "blob_digest", digest),
        Column("Size", "size", size),
        Column("Build line", "created_by", code),
        Column("Images", "images", count),
        Column("Repositories", "repositories", count),
        Column("Saved by sharing", "saved", size),
    ]
    return Section(
        "layers",
        "Largest layers",
        "Each distinct layer once, with the bytes saved by storing it once instead of once for each image.",
        "rs.layer_sizes(snap)",
        table(sizes, columns, weight="size"),
        "There are no layers.",
    )


def images(snap: Snapshot) -> Section:
    """The largest images by their tags."""
    sizes = _named(image_sizes(snap))
    columns = [
        Column("Image", "name", words),
        Column("Platform", "platform", words),
        Column("Size", "size", size),
        Column("Layers", "n_layers", count),
        Column("Built", "created", day),
        Column("Digest", "digest", digest),
    ]
    return Section(
        "images",
        "Largest images",
        "The bytes that a client pulls for each tag and platform. They include shared layers, so they do not add up.",
        "rs.image_sizes(snap)",
        table(sizes, columns, top=NAMED),
        "There are no images.",
    )


def repositories(sharing: pd.DataFrame) -> Section:
    """The exclusive and shared bytes of each repository, of `regscope.sharing`."""
    found = _with_bars(sharing[sharing["level"] == "repository"])
    columns = [
        Column("Repository", "repository", words),
        Column("Exclusive", "exclusive", size),
        Column("Shared", "shared", size),
        Column("Unique", "unique", size),
        Column("Deduplication", "dedup_ratio", times),
        Column("Exclusive and shared", "bar", two_parts),
    ]
    return Section(
        "repositories",
        "Sharing between repositories",
        "Unique bytes count each blob of a repository once; shared bytes are also in another repository; exclusive "
        "bytes are freed by deleting the whole repository.",
        "rs.sharing(snap).query(\"level == 'repository'\")",
        table(found, columns, weight="exclusive", meaning="exclusive", top=NAMED),
        "There are no repositories.",
    )


def tags(sharing: pd.DataFrame) -> Section:
    """The exclusive and shared bytes of each tag, of `regscope.sharing`."""
    found = _named(_with_bars(sharing[sharing["level"] == "tag"]))
    columns = [
        Column("Tag", "name", words),
        Column("Exclusive", "exclusive", size),
        Column("Shared", "shared", size),
        Column("Unique", "unique", size),
        Column("Digest", "digest", digest),
        Column("Exclusive and shared", "bar", two_parts),
    ]
    return Section(
        "tags",
        "Sharing between tags",
        "A tag counts with its platforms, signatures and SBOMs; exclusive is what deleting that tag alone frees.",
        "rs.sharing(snap).query(\"level == 'tag'\")",
        table(found, columns, weight="exclusive", meaning="exclusive", top=NAMED),
        "There are no tags.",
    )


def build_lines(snap: Snapshot) -> Section:
    """The bytes of each build instruction in the whole registry."""
    columns = [
        Column("Instruction", "instruction", code),
        Column("Stored", "stored", size),
        Column("Referenced", "referenced", size),
        Column("Layers", "layers", count),
        Column("Images", "images", count),
    ]
    return Section(
        "build-lines",
        "Build lines by cost",
        "The layers that an instruction made, stored once each, and referenced once for each image that has them.",
        "rs.history_cost(snap)",
        table(history_cost(snap), columns, weight="stored", meaning="stored"),
        "There are no build lines.",
    )


def old_bases(snap: Snapshot) -> Section:
    """The images whose base has a newer build."""
    found = lineage(snap)
    found = found[found["base_is_old"]]
    columns = [
        Column("Image", "name", words),
        Column("Built on", "base_name", words),
        Column("Newer base", "newer_base", words),
        Column("From the base", "shared_size", size),
        Column("Its own", "own_size", size),
        Column("Digest", "digest", digest),
    ]
    return Section(
        "old-bases",
        "Images on old bases",
        "Images whose base has a newer build under a comparable tag: a rebuild of the image would use it.",
        'rs.lineage(snap).query("base_is_old")',
        table(found, columns, weight="own_size", meaning="their own", top=NAMED),
        "No image is built on an old base.",
    )


def stale_tags(stale: pd.DataFrame, older_than: str) -> Section:
    """The tags whose images are old, of `regscope.stale`."""
    columns = [
        Column("Tag", "name", words),
        Column("Built", "created", day),
        Column("Age", "age", days),
        Column("Exclusive", "exclusive", size),
        Column("Unique", "unique", size),
        Column("Digest", "digest", digest),
    ]
    return Section(
        "stale",
        "Stale tags",
        f"Tags whose image is older than {older_than}, oldest first; deleting a tag alone frees its exclusive bytes.",
        "rs.stale(snap)",
        table(_named(stale), columns, weight="exclusive", meaning="exclusive", top=NAMED),
        f"No image is older than {older_than}.",
    )


def problems(snap: Snapshot) -> Section:
    """What could not be read."""
    return Section(
        "problems",
        "Problems",
        "Content that could not be read; the figures on this page do not include it.",
        "snap.problems",
        table(snap.problems, PROBLEMS, top=NAMED),
        "Everything could be read.",
    )


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds `name`: `repository:tag`, or the repository with `(no tag)` for an untagged image."""
    return frame.assign(name=frame["repository"] + (":" + frame["tag"]).fillna(" (no tag)"))


def _with_bars(frame: pd.DataFrame) -> pd.DataFrame:
    longest = int(frame["unique"].max()) if len(frame) else 0
    parts = [(int(own), int(shared), longest) for own, shared in zip(frame["exclusive"], frame["shared"], strict=True)]
    return frame.assign(bar=pd.Series(parts, index=frame.index, dtype=object))
