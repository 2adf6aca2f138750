"""What a registry says is shown as text by the explorer, and stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import regscope as rs
from regscope.views.explorer.explore import VIEWS
from regscope.views.explorer.pane import Pane
from tests.lab.hostile_layout import IMAGE, SCRIPT, write_hostile_layout
from tests.lab.images import push
from tests.servers.registry import Registry
from tests.views.explorer.browsing import open_tab, pane, run_in_lab, run_in_voila, settled, watched, write_notebook
from tests.views.reading import ReadPage
from tests.views.test_hostile_text import HOSTILE, hostile

ELEMENTS = {
    "b", "bdi", "button", "code", "dd", "div", "dl", "dt", "g", "h3", "i", "input", "label", "li", "nav", "option",
    "output", "p", "rect", "s", "select", "small", "span", "svg", "table", "tbody", "td", "text", "th", "thead",
    "title", "tr", "ul", "wbr",
}  # fmt: skip
_UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")

_OPEN = """
import regscope as rs
store = rs.open("{url}")
snap = rs.scan_files(rs.scan(store, progress=False), store, progress=False)
ui = rs.explore(snap, store)
ui
"""


def panes(widget: object) -> Iterator[Pane]:
    """The panes that a widget consists of."""
    if isinstance(widget, Pane):
        yield widget
    for child in getattr(widget, "children", ()):
        yield from panes(child)


@pytest.mark.parametrize("said", HOSTILE)
def test_it_makes_no_element_and_leaves_no_control_character(said: str) -> None:
    snap = hostile(HOSTILE[said].encode("utf-8", "replace").decode())
    ui = rs.explore(snap)
    ui.image = str(snap.tags.loc[snap.tags["repository"] == "deep", "digest"].iloc[0])
    for view in VIEWS:
        ui.view = view
        if view == "registry":
            ui.treemap.do("enter", "0")
            ui.treemap.do("layer", str(ui.treemap.table["digest"].iloc[0]))
        elif view == "layers":
            ui.bars.do("pick", "0")
        elif view == "files":
            while closed := re.findall(r'data-do="folder" data-value="(\d+)" aria-expanded="false"', ui.browser.html):
                ui.browser.do("folder", closed[0])
            assert ui.browser.html.count("<li>") > 5
        elif view == "compare":
            ui.comparison.before.do("pick", "0")
            ui.comparison.after.do("pick", "1")
        for one in panes(ui):
            read = ReadPage(one.html)
            assert set(read.elements) <= ELEMENTS
            assert not any(name.startswith("on") for name in read.attributes)
            assert not _UNSEEN.search(one.html)
            assert len(one.html) < 400_000


@pytest.fixture(scope="module")
def hostile_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    layout = tmp_path_factory.mktemp("hostile") / "layout"
    write_hostile_layout(layout)
    with Registry(tmp_path_factory.mktemp("hostile-registry")) as registry:
        push(layout, registry)
        yield registry


@pytest.fixture(params=[run_in_lab, run_in_voila])
def notebook(
    window: Page, jupyter_url: str, notebooks: Path, hostile_registry: Registry, request: pytest.FixtureRequest
) -> Iterator[Page]:
    write_notebook(notebooks / "hostile.ipynb", [_OPEN.format(url=hostile_registry.url)])
    with watched(window, jupyter_url):
        request.param(window, jupyter_url, "hostile.ipynb")
        yield window


def test_a_browser_shows_all_views_and_runs_nothing(notebook: Page) -> None:
    open_tab(notebook, "Images")
    pane(notebook, "Images").locator("tbody tr").first.click()
    settled(notebook)
    open_tab(notebook, "Layers")
    layers = pane(notebook, "Layers")
    expect(layers.locator("tbody tr")).to_have_count(2)
    expect(layers).to_contain_text(SCRIPT)
    layers.locator("tbody tr").first.click()
    settled(notebook)
    open_tab(notebook, "Files")
    files = pane(notebook, "Files")
    files.get_by_role("button", name="d/").click()
    for name in (SCRIPT, IMAGE):
        files.get_by_role("button", name=name.replace("/", "|")).first.click()
        settled(notebook)
    expect(files).to_contain_text(IMAGE.replace("/", "|"))
    open_tab(notebook, "Compare")
    pane(notebook, "Before").locator("tbody tr").nth(0).click()
    pane(notebook, "After").locator("tbody tr").nth(1).click()
    for part in ("Config (", "Build steps (", "Files ("):
        notebook.get_by_role("tab", name=part).click()
        settled(notebook)
    open_tab(notebook, "Registry")
    notebook.locator("[data-do=layer]").first.click()
    settled(notebook)
    assert notebook.locator(".regscope img, .regscope script, .regscope iframe").count() == 0
