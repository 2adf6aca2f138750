"""How long a change in the explorer and in the policy builder takes to be seen, with 100,000 rows of layers."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

from tests.views.explorer.browsing import open_tab, pane, run_in_lab, settled, write_notebook
from tests.views.explorer.jupyter import jupyter

_ROUNDS = 7
_OPEN = """
import regscope as rs
from tests.benchmarks.large_snapshot import large_snapshot
ui = rs.explore(large_snapshot(100_000))
ui
"""
_OPEN_POLICY = """
import regscope as rs
from tests.benchmarks.large_snapshot import large_snapshot
ui = rs.remediate(large_snapshot(100_000), policy=rs.Retention(keep_last=5))
ui
"""
# From what is done until the kernel has answered, and the browser has drawn that.
_TIMED = """
([target, said]) => new Promise((resolve) => {
  const started = performance.now();
  const done = () => document.querySelector(".regscope[aria-busy]")
    ? requestAnimationFrame(done)
    : requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started), 0));
  if (said === null) target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  else { target.value = said; target.dispatchEvent(new Event("input", { bubbles: true })); }
  done();
})
"""


def explorer(_: object = None) -> list[dict[str, object]]:
    """Medians and the slowest, in JupyterLab."""
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with (
        tempfile.TemporaryDirectory() as folder,
        jupyter(_notebooks(Path(folder)), Path(folder)) as url,
        sync_playwright() as play,
        play.chromium.launch(executable_path=shutil.which("chromium"), args=quiet) as chromium,
    ):
        page = chromium.new_page(viewport={"width": 1400, "height": 1100})
        run_in_lab(page, url, "explore.ipynb")
        found = {name: [step(page, turn) for turn in range(_ROUNDS)] for name, step in _STEPS.items()}
        run_in_lab(page, url, "remediate.ipynb")
        for label, words in _RULES.items():
            times = [_ruled(page, label, words.format(turn + 1)) for turn in range(_ROUNDS)]
            found[f"a rule: {label}"] = times
    return [_row(name, times) for name, times in found.items()]


def _notebooks(folder: Path) -> Path:
    write_notebook(folder / "explore.ipynb", [_OPEN])
    write_notebook(folder / "remediate.ipynb", [_OPEN_POLICY])
    return folder


def _timed(target: Locator, said: str | None = None) -> float:
    milliseconds: float = target.page.evaluate(_TIMED, [target.element_handle(), said])
    return milliseconds


def _searching(page: Page, turn: int) -> float:
    open_tab(page, "Images")
    return _timed(pane(page, "Images").get_by_role("searchbox"), ["1.1", "latest", "1.12", ""][turn % 4])


def _on_images(choose: Callable[[Locator, int], Locator]) -> Callable[[Page, int], float]:
    def step(page: Page, turn: int) -> float:
        open_tab(page, "Images")
        images = pane(page, "Images")
        images.get_by_role("searchbox").fill("")
        settled(page)
        return _timed(choose(images, turn))

    return step


def _opening(page: Page, turn: int) -> float:
    open_tab(page, "Images")
    pane(page, "Images").locator("tbody button").nth(turn).click()
    settled(page)
    return _timed(page.get_by_role("tablist", name="Views").get_by_role("tab", name="Layers"))


def _layer(page: Page, turn: int) -> float:
    open_tab(page, "Layers")
    return _timed(pane(page, "Layers").locator("tbody button").nth(turn))


def _treemap(page: Page, turn: int) -> float:
    open_tab(page, "Registry")
    back = page.locator("[data-do=leave]")
    return _timed(back.first if back.count() else page.locator("[data-do=enter]").nth(turn))


def _sharing(page: Page, turn: int) -> float:
    open_tab(page, "Sharing")
    levels = page.get_by_role("tablist", name="Levels").get_by_role("tab")
    return _timed(levels.nth((turn + 1) % 3))


def _comparing(page: Page, turn: int) -> float:
    open_tab(page, "Compare")
    if not turn:
        pane(page, "Before").locator("tbody button").nth(7).click()
        settled(page)
    return _timed(pane(page, "After").locator("tbody button").nth(turn))


def _ruled(page: Page, label: str, words: str) -> float:
    return _timed(page.get_by_label(label), words)


_RULES = {
    "Keep the newest images": "{}",
    "Only images older than": "{}0d",
    "Always keep": "1.{}*, latest",
    "Tags that may be deleted": "1.*, /{}[.].*/",
}
_STEPS: dict[str, Callable[[Page, int], float]] = {
    "searching": _searching,
    "sorting": _on_images(lambda images, turn: images.locator("thead button").nth(turn % 6)),
    "turning a page": _on_images(lambda images, _: images.get_by_role("button", name="Next")),
    "picking an image": _on_images(lambda images, turn: images.locator("tbody button").nth(turn)),
    "opening the layers of another image": _opening,
    "picking a layer: who has it": _layer,
    "going into the treemap, and out": _treemap,
    "sharing on another level": _sharing,
    "comparing two images": _comparing,
}


def _row(name: str, times: list[float]) -> dict[str, object]:
    measured = f"{statistics.median(times):.0f} ms; at most {max(times):.0f} ms"
    return {"part": "explorer", "what": name, "measured": measured, "wanted": "≤ 200 ms"}
