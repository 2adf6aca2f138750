"""The report: what a registry holds, what it weighs and what can go, as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import NamedTuple

import pandas as pd

from regscope import text
from regscope.analysis.file_duplicates import file_duplicates
from regscope.analysis.risky_files import secrets
from regscope.analysis.sharing import sharing
from regscope.analysis.sizes import layer_sizes
from regscope.analysis.stale import stale
from regscope.analysis.stored_layers import stored_layers
from regscope.analysis.twins import twins
from regscope.analysis.waste import waste
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot
from regscope.views import content_sections, file_sections, sections
from regscope.views.figures import Figure, figures_of_files, key_figures
from regscope.views.histogram import histogram
from regscope.views.page import Page, rendered
from regscope.views.report_answers import answers
from regscope.views.sections import Section
from regscope.views.treemap import treemap

_OLDER_THAN = 180  # days


@dataclass(frozen=True, repr=False)
class Report(Page):
    """A report as HTML: one file that loads nothing, and runs nothing that the registry says.

    Attributes:
        title: its heading.
        html: the whole page.
    """

    what = "a report"
    suggested_name = "report.html"


@takes_snapshot
def report(snap: Snapshot, *, title: str | None = None) -> Report:
    """A report on `snap`: how much there is, where it lies and what can go.

    Where the files of its layers were read (see `scan_files`), also what they waste, hold twice, and should not hold.

    Args:
        snap: the snapshot.
        title: the heading; by default it names the store.

    Returns:
        A page that shows itself in a notebook; `save` writes it to a file.
    """
    older_than = text.count(_OLDER_THAN, "day")
    shares, old, sizes, stored = (
        sharing(snap),
        stale(snap, older_than=pd.Timedelta(days=_OLDER_THAN)),
        layer_sizes(snap),
        stored_layers(snap),
    )
    within = _within_layers(snap)
    heading = text.plain(title or f"Report on {snap.location}", 200)
    page = rendered(
        "report.html.j2",
        styles=("interface_colours.css", "report.css"),
        scripts=("report.js",),
        title=heading,
        location=text.plain(snap.location, 500) if title else "",
        taken_at=snap.taken_at.astimezone(UTC),
        nothing=_nothing(snap),
        notes=[text.plain(note) for note in snap.notes()],
        answers=answers(snap, shares, old, older_than),
        figures=[*key_figures(snap, shares, old, older_than), *within.figures],
        treemaps={
            "wide": treemap(stored, 1120, 560, most_layers=200, most_boxes=40),
            "narrow": treemap(stored, 360, 520, most_layers=60, most_boxes=18),
        },
        histograms={"wide": histogram(sizes["size"], 1120), "narrow": histogram(sizes["size"], 360)},
        sections=[
            sections.layers(sizes),
            sections.images(snap),
            sections.repositories(shares),
            sections.tags(shares),
            sections.build_lines(snap),
            sections.old_bases(snap),
            sections.stale_tags(old, older_than),
            *within.sections,
            sections.problems(snap),
        ],
    )
    return Report(heading, page)


class _Within(NamedTuple):
    """What the page says of the files within the layers."""

    figures: list[Figure]
    sections: list[Section]


def _within_layers(snap: Snapshot) -> _Within:
    if snap.unpacked.empty:
        return _Within([], [file_sections.unread()])
    wasted, copies, alike, risky = waste(snap), file_duplicates(snap), twins(snap), secrets(snap)
    return _Within(
        figures_of_files(snap, wasted, copies, alike, risky),
        [
            file_sections.waste_by_image(snap, wasted),
            file_sections.waste_by_instruction(wasted),
            file_sections.duplicates(copies),
            file_sections.ratios(snap),
            file_sections.twin_layers(snap, alike),
            file_sections.drift(snap),
            content_sections.secrets(snap, risky),
            content_sections.running_as_others(snap),
            content_sections.large_files(snap),
            *content_sections.types(snap),
            content_sections.figures_of_others(snap),
        ],
    )


def _nothing(snap: Snapshot) -> str:
    """What to say in place of the tables where there is nothing to put into them."""
    if len(snap.manifests):
        return ""
    return "Nothing here could be read." if len(snap.problems) else "There is nothing in this store."
