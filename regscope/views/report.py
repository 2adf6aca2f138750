"""The report: a registry's content, sizes and sharing, and what can be deleted, as one HTML file."""

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
    """A report as one HTML file: it loads no external resources, and runs no script from the registry's texts.

    Attributes:
        title: the heading.
        html: the whole page.
    """

    what = "a report"
    suggested_name = "report.html"


@takes_snapshot
def report(snap: Snapshot, *, title: str | None = None) -> Report:
    """A report on `snap`: the stored bytes, the repositories that have them, and what can be deleted.

    If the files of its layers were read (see `scan_files`), it also lists wasted and duplicate files, and secrets.

    Args:
        snap: the snapshot.
        title: the heading; the store's location by default.

    Returns:
        A page that a notebook displays; `save` writes it to a file.
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
    """The figures and sections about the files in layers."""

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
    """The text that replaces the tables if the snapshot has no manifests; else empty."""
    if len(snap.manifests):
        return ""
    return "No content of this store could be read." if len(snap.problems) else "This store is empty."
