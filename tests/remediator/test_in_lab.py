"""The policy builder in JupyterLab and in Voila, used on a real registry: from the first rule to the undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import regscope as rs
from tests.explorer.browsing import column, pane, picture, run_in_lab, settled, watched, write_notebook
from tests.explorer.conftest import base_url, browser_type_launch_args, lab_root, lab_url, window
from tests.explorer.jupyter import voila
from tests.remediation.drawn_registry import Contents, image, layer
from tests.servers.registry import Registry

__all__ = ["base_url", "browser_type_launch_args", "lab_root", "lab_url", "window"]

_OPEN = """
import regscope as rs
store = rs.open("{url}")
snap = rs.scan(store, progress=False)
ui = rs.remediate(snap, store)
ui
"""
_NEXT = "print('then', ui.policy, len(ui.goes), ui.applied.counts(), ui.undone.ok, '.')"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry") as running:
        pushes = [("team/app", f"v{n}", image([layer("base", 900), layer(f"{n}", 80)], n)) for n in range(1, 40)]
        Contents(pushes=[*pushes]).push_to(running.url)
        yield running


def fill(page: Page, label: str, words: str) -> None:
    page.get_by_label(label).fill(words)
    settled(page)


def use(page: Page, registry: Registry, name: str) -> None:
    """From the first rule to the undo."""
    expect(pane(page, "What that would do")).to_contain_text("Give a rule")
    fill(page, "Keep the newest images", "soon")
    expect(pane(page, "What may go, and what must stay")).to_contain_text("valid integer")
    fill(page, "Keep the newest images", "3")
    fill(page, "Always keep", "v1*")
    goes = pane(page, "What goes")
    expect(goes.locator("output")).to_contain_text("of 26")
    assert set(column(goes, 1)) == {"team/app"}
    expect(pane(page, "What was matched, and stays")).to_contain_text("protect=v1*")
    doing = pane(page, "Do it")
    expect(doing.get_by_role("button", name="Apply")).to_have_count(0)
    doing.get_by_role("button", name="Dry run").click()
    settled(page)
    expect(doing).to_contain_text("26")
    expect(doing.get_by_role("button", name="Apply")).to_be_disabled()
    fill(page, "To apply, type", "team/app")
    picture(page, f"remediate-{name}")
    doing.get_by_role("button", name="Apply").click()
    expect(doing.get_by_role("button", name="Undo")).to_be_disabled()
    assert len(rs.open(registry.url, cache=False).tags("team/app")) == 13
    fill(page, "To undo, type", "team/app")
    doing.get_by_role("button", name="Undo").click()
    expect(doing).to_contain_text("Undone")
    assert len(rs.open(registry.url, cache=False).tags("team/app")) == 39
    picture(page, f"remediate-{name}-undone")


def test_in_jupyterlab_and_the_next_cell_sees_it(
    window: Page, lab_url: str, lab_root: Path, registry: Registry
) -> None:
    write_notebook(lab_root / "remediate.ipynb", [_OPEN.format(url=registry.url), _NEXT])
    with watched(window, lab_url):
        run_in_lab(window, lab_url, "remediate.ipynb")
        use(window, registry, "lab")
        window.locator(".jp-CodeCell").last.click()
        window.keyboard.press("Escape")
        window.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell')")
        expect(window.locator(".jp-CodeCell").last).to_contain_text(
            "keep_last=3, protect=['v1*']) 26 {'done': 26} True"
        )


def test_in_voila(browser: Browser, tmp_path: Path, registry: Registry) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(20_000)
    write_notebook(tmp_path / "remediate.ipynb", [_OPEN.format(url=registry.url)])
    with voila(tmp_path / "remediate.ipynb", tmp_path / "home", {}) as url, watched(page, url):
        page.goto(url)
        page.locator(".regscope").first.wait_for(timeout=60_000)
        use(page, registry, "voila")
    page.close()
