"""The report: what a registry holds, what it weighs and what can go, as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from importlib import resources
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from regscope import text
from regscope.analysis.sharing import sharing
from regscope.analysis.sizes import layer_sizes
from regscope.analysis.stale import stale
from regscope.tables import Snapshot
from regscope.views import sections
from regscope.views.figures import key_figures
from regscope.views.histogram import histogram
from regscope.views.treemap import stored_layers, treemap

_OLDER_THAN = 180  # days


@dataclass(frozen=True, repr=False)
class Report:
    """A report as HTML: one file that loads nothing, and runs nothing that the registry says.

    Attributes:
        title: its heading.
        html: the whole page.
    """

    title: str
    html: str

    def save(self, path: Path | str) -> Path:
        """Write the page to `path`, in UTF-8; a file that is there is replaced."""
        path = Path(path)
        path.write_text(self.html, encoding="utf-8", newline="\n")
        return path

    def __repr__(self) -> str:
        weight = text.size(len(self.html.encode()))
        return f"{self.title}: a report, {weight} of HTML. Write it with .save('report.html')."

    def _repr_html_(self) -> str:
        # A frame of its own: its styles stay inside, and nothing in it can reach the notebook.
        return (
            f'<iframe sandbox="allow-scripts" title="{text.escape(self.title)}" '
            f'style="width:100%;height:720px;border:0" srcdoc="{html.escape(self.html, quote=True)}"></iframe>'
        )


def report(snap: Snapshot, *, title: str | None = None) -> Report:
    """A report on `snap`: how much there is, where it lies and what can go.

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
    heading = text.plain(title or f"Report on {snap.location}", 200)
    style, script = _asset("report.css"), _asset("report.js")
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=heading,
            location=text.plain(snap.location, 500) if title else "",
            taken_at=snap.taken_at.astimezone(UTC),
            nothing=_nothing(snap),
            notes=[text.plain(note) for note in snap.notes()],
            figures=key_figures(snap, shares, old, older_than),
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
                sections.problems(snap),
            ],
            style=style,
            style_hash=_hash(style),
            script=script,
            script_hash=_hash(script),
        )
    )
    return Report(heading, page)


def _nothing(snap: Snapshot) -> str:
    """What to say in place of the tables where there is nothing to put into them."""
    if len(snap.manifests):
        return ""
    return "Nothing here could be read." if len(snap.problems) else "There is nothing in this store."


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("regscope.views"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(name: str) -> Markup:
    """A name, escaped, that a narrow column breaks between repository and tag."""
    return Markup(":<wbr>").join(name.split(":"))


@cache
def _asset(name: str) -> Markup:
    """A style sheet or a script of ours, that goes into the page as it is."""
    return Markup((resources.files("regscope.views") / "templates" / name).read_text(encoding="utf-8"))


def _hash(source: str) -> str:
    """What the page's Content-Security-Policy calls `source` by: nothing else may style it, or run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
