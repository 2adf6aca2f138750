"""The policy builder in JupyterLab's light and dark theme, and by the keyboard alone. The pictures are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.views.explorer.browsing import pane, picture, run_in_lab, settled, watched, write_notebook
from tests.views.explorer.contrast import faint

OPEN = """
import tempfile
from pathlib import Path
import regscope as rs
store = rs.open(f"oci:{rs.build_demo(Path(tempfile.mkdtemp()) / 'demo')}")
ui = rs.remediate(rs.scan(store, progress=False), store)
ui
"""


@pytest.fixture(scope="module")
def notebook(window: Page, jupyter_url: str, notebooks: Path) -> Iterator[Page]:
    window.set_viewport_size({"width": 1400, "height": 1900})
    write_notebook(notebooks / "remediate-themes.ipynb", [OPEN])
    with watched(window, jupyter_url):
        run_in_lab(window, jupyter_url, "remediate-themes.ipynb")
        yield window


def fill(page: Page, label: str, words: str) -> None:
    page.get_by_label(label).fill(words)
    settled(page)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_everything_that_is_written_stands_out_from_its_ground(notebook: Page, theme: str) -> None:
    notebook.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    is_light = str(theme == "JupyterLab Light").lower()
    notebook.wait_for_selector(f"body[data-jp-theme-light={is_light}]", state="attached")
    look_at_it(notebook, f"remediate-{theme.rpartition(' ')[2].lower()}")


def look_at_it(notebook: Page, name: str) -> None:
    """Keep pictures of rules that make no sense and of a plan that was tried; nothing in them is hard to read."""
    doing = pane(notebook, "Apply the plan")
    found: dict[str, list[str]] = {}

    def look(part: str) -> None:
        notebook.mouse.move(5, 5)
        picture(notebook, f"{name}-{part}")
        found[part] = faint(notebook)

    fill(notebook, "Keep the newest images", "1")
    fill(notebook, "Always keep", "1.0")
    notebook.locator("details").evaluate("(it) => { it.open = true; }")
    fill(notebook, "Only images older than", "soon")
    look("wrong")
    fill(notebook, "Only images older than", "1d")
    expect(notebook.locator("details")).to_have_attribute("open", "")
    doing.get_by_role("button", name="Dry run").click()
    expect(doing.get_by_role("button", name="Apply")).to_be_visible()
    fill(notebook, "To apply, type", notebook.locator("label", has_text="To apply, type").locator("code").inner_text())
    expect(doing.get_by_role("button", name="Apply")).to_be_enabled()
    look("tried")
    assert {part: hard for part, hard in found.items() if hard} == {}


def test_the_keyboard_alone_writes_rules_and_tries_them(notebook: Page) -> None:
    fill(notebook, "Only images older than", "")
    fill(notebook, "Always keep", "")
    fill(notebook, "Keep the newest images", "")
    notebook.get_by_label("Keep the newest images").focus()
    notebook.keyboard.type("2")
    settled(notebook)
    expect(pane(notebook, "Rules")).to_contain_text("keep_last=2")
    for _ in range(60):
        notebook.keyboard.press("Tab")
        if notebook.evaluate("() => document.activeElement.textContent") == "Dry run":
            break
    notebook.keyboard.press("Enter")
    name = pane(notebook, "Apply the plan").get_by_label("To apply, type")
    expect(name).to_be_enabled()
    notebook.keyboard.press("Tab")
    expect(name).to_be_focused()
    notebook.keyboard.type(notebook.locator("label", has_text="To apply, type").locator("code").inner_text())
    settled(notebook)
    notebook.keyboard.press("Tab")
    expect(pane(notebook, "Apply the plan").get_by_role("button", name="Apply")).to_be_focused()
