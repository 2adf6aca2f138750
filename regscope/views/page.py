"""A self-contained HTML page: it loads no external resources, and runs no script from a registry's texts."""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import jinja2
from markupsafe import Markup

from regscope import text


@dataclass(frozen=True, repr=False)
class Page:
    """One HTML file.

    Attributes:
        title: the heading.
        html: the whole page.
    """

    title: str
    html: str

    what: ClassVar[str] = "a page"
    suggested_name: ClassVar[str] = "page.html"

    def save(self, path: Path | str) -> Path:
        """Write the page to `path`, in UTF-8; an existing file is replaced."""
        path = Path(path)
        path.write_text(self.html, encoding="utf-8", newline="\n")
        return path

    def __repr__(self) -> str:
        weight = text.size(len(self.html.encode()))
        return f"{self.title}: {self.what}, {weight} of HTML. Write it with .save({self.suggested_name!r})."

    def _repr_html_(self) -> str:
        # In a sandboxed frame its styles apply only to it, and its script cannot access the notebook.
        return (
            f'<iframe sandbox="allow-scripts" title="{text.escape(self.title)}" '
            f'style="width:100%;height:720px;border:0" srcdoc="{html.escape(self.html, quote=True)}"></iframe>'
        )


def rendered(template: str, *, styles: tuple[str, ...], scripts: tuple[str, ...] = (), **values: Any) -> str:
    """A page from a template, with styles and scripts of this package, and with a policy that allows no others."""
    style, script = assets(*styles), assets(*scripts)
    page = _environment().get_template(template)
    return page.render(style=style, style_hash=_hash(style), script=script, script_hash=_hash(script), **values)


def fragment(template: str, **values: Any) -> str:
    """HTML from a template that is a part of a page."""
    return _environment().get_template(template).render(**values)


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


def _breakable(name: str, after: str) -> Markup:
    """A name, escaped, that can be wrapped after each `after`, such as between repository and tag."""
    return Markup(f"{after}<wbr>").join(name.split(after))


@cache
def assets(*names: str) -> Markup:
    """Style sheets or scripts of this package, which are put into the page unchanged."""
    folder = resources.files("regscope.views") / "templates"
    return Markup("".join((folder / name).read_text(encoding="utf-8") for name in names))


def _hash(source: str) -> str:
    """The hash of `source` for the page's Content-Security-Policy, which allows no other style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
