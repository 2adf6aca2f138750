"""Every view in JupyterLab's light and dark theme: what is written can be read. The pictures are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.views.explorer.browsing import (
    open_tab,
    pane,
    picture,
    run_in_lab,
    settled,
    watched,
    write_notebook,
)
from tests.views.explorer.contrast import faint

OPEN = """
import tempfile
from pathlib import Path
import regscope as rs
store = rs.open(f"oci:{rs.build_demo(Path(tempfile.mkdtemp()) / 'demo')}")
snap = rs.scan_files(rs.scan(store, progress=False), store, progress=False)
ui = rs.explore(snap, store)
ui.image = "team/shop:3"
ui
"""
VIEWS = ("Registry", "Images", "Layers", "Files", "Sharing", "Compare", "Problems")


@pytest.fixture(scope="module")
def notebook(window: Page, jupyter_url: str, notebooks: Path) -> Iterator[Page]:
    write_notebook(notebooks / "themes.ipynb", [OPEN])
    with watched(window, jupyter_url):
        run_in_lab(window, jupyter_url, "themes.ipynb")
        yield window


def show(page: Page, view: str) -> None:
    """Open a view with something in it."""
    open_tab(page, view)
    if view == "Layers":
        pane(page, "Layers").locator("tbody tr").nth(1).click()
    elif view == "Files":
        for name in ("usr/", "srv/"):
            button = pane(page, "Files").get_by_role("button", name=name)
            if button.get_attribute("aria-expanded") == "false":
                button.click()
                settled(page)
    elif view == "Compare":
        for heading, tag in (("Before", "api:1.0"), ("After", "api:2.0")):
            pane(page, heading).get_by_role("searchbox").fill(tag)
            settled(page)
            pane(page, heading).locator("tbody tr").first.click()
            settled(page)
        page.get_by_role("tab", name="Files (").click()
    settled(page)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_everything_that_is_written_stands_out_from_its_ground(notebook: Page, theme: str) -> None:
    notebook.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    is_light = str(theme == "JupyterLab Light").lower()
    notebook.wait_for_selector(f"body[data-jp-theme-light={is_light}]", state="attached")
    look_at_each_view(notebook, theme.rpartition(" ")[2].lower())


def look_at_each_view(page: Page, name: str) -> None:
    """Keep a picture of each, and find nothing in it that is hard to read."""
    found: dict[str, list[str]] = {}
    for view in VIEWS:
        show(page, view)
        page.mouse.move(5, 5)
        picture(page, f"{name}-{view.lower()}")
        found[view] = faint(page)
    assert {view: hard for view, hard in found.items() if hard} == {}
