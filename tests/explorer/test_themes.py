"""Every view in JupyterLab's light and dark theme: what is written can be read. The pictures are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.explorer.browsing import open_tab, pane, picture, run_in_lab, settled, watched, write_notebook

_OPEN = """
import tempfile
from pathlib import Path
import regscope as rs
store = rs.open(f"oci:{rs.build_demo(Path(tempfile.mkdtemp()) / 'demo')}")
snap = rs.scan_files(store, rs.scan(store))
ui = rs.explore(snap, store)
ui.image = "team/shop:3"
ui
"""
FAINT = """
() => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const paper = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll(".regscope *")) {
    const written = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    if (!written || node.closest("svg, [disabled]") || !node.getClientRects().length) continue;
    const [one, other] = [light(rgb(getComputedStyle(node).color)), light(paper(node))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) faint.push(`${node.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return faint;
}
"""


@pytest.fixture(scope="module")
def notebook(window: Page, lab_url: str, lab_root: Path) -> Iterator[Page]:
    write_notebook(lab_root / "themes.ipynb", [_OPEN])
    with watched(window, lab_url):
        run_in_lab(window, lab_url, "themes.ipynb")
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
    faint: dict[str, list[str]] = {}
    for view in ("Registry", "Images", "Layers", "Files", "Sharing", "Compare", "Problems"):
        show(notebook, view)
        notebook.mouse.move(5, 5)
        picture(notebook, f"{theme.rpartition(' ')[2].lower()}-{view.lower()}")
        faint[view] = notebook.evaluate(FAINT)
    assert {view: found for view, found in faint.items() if found} == {}
