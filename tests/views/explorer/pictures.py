"""The README's pictures, made anew: `python -m tests.views.explorer.pictures`."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import regscope as rs
from tests.views.explorer.browsing import open_tab, run_in_lab, settled, write_notebook
from tests.views.explorer.jupyter import jupyter

_FOLDER = Path(__file__).parents[3] / "notebooks" / "pictures"
_OPEN = """
import os
import regscope as rs
os.chdir(rs.build_demo("regscope-demo/layout").parent)
store = rs.open("oci:layout")
snap = rs.scan_files(rs.scan(store), store)
"""
_REMEDIATE = 'rs.remediate(snap, store, policy=rs.Retention(keep_last=1, protect=["1.1"], untagged=True))'
_EXPLORE = 'ui = rs.explore(snap, store)\nui.image = "team/shop:3"\nui'


def make() -> None:
    """Each of them as a reader will see it: on the sample, in JupyterLab and in a window of its own."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as browsers:
        root, home = Path(place) / "root", Path(place) / "home"
        root.mkdir()
        _FOLDER.mkdir(exist_ok=True)
        write_notebook(root / "explorer.ipynb", [_OPEN, _EXPLORE])
        write_notebook(root / "remediate.ipynb", [_OPEN, _REMEDIATE])
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1500})
        with jupyter(root, home) as url:
            run_in_lab(page, url, "explorer.ipynb")
            open_tab(page, "Registry")
            settled(page)
            _keep(page, "explorer", 960)
            other = browser.new_page(viewport={"width": 1280, "height": 1500})
            run_in_lab(other, url, "remediate.ipynb")
            settled(other)
            _keep(other, "remediate", 1100)
        _report(browser.new_page(viewport={"width": 1120, "height": 900}), Path(place))
        browser.close()


def _report(page: Page, folder: Path) -> None:
    rs.build_demo(folder / "layout")
    with contextlib.chdir(folder):
        made = rs.report(rs.scan(rs.open("oci:layout"), progress=False))
    page.goto(made.save(folder / "report.html").as_uri())
    page.screenshot(path=_FOLDER / "report.png")


def _keep(page: Page, name: str, height: int) -> None:
    """The output of the last cell, down to so many pixels."""
    output = page.locator(".jp-OutputArea-output").last
    output.scroll_into_view_if_needed()
    box = output.bounding_box()
    assert box is not None
    clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": min(box["height"], height)}
    page.screenshot(path=_FOLDER / f"{name}.png", clip=clip)  # type: ignore[arg-type]


if __name__ == "__main__":
    make()
