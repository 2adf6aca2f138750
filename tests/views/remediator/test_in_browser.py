"""The policy builder in JupyterLab, Notebook 7 and Voila, used on a real registry: from the first rule to the undo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import regscope as rs
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.proxy import FaultProxy, Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry
from tests.views.explorer.browsing import (
    column,
    pane,
    picture,
    run_in_lab,
    run_in_notebook,
    run_in_voila,
    settled,
    watched,
    write_notebook,
)

_OPEN = """
import regscope as rs
store = rs.open("{url}")
snap = rs.scan(store, progress=False)
ui = rs.remediate(snap, store)
ui
"""
_NEXT = "print('then', ui.policy, len(ui.goes), ui.applied.counts(), ui.undone.ok, '.')"
Run = Callable[[Page, str, str], None]
_AT_FIRST = 6  # deletions that pass


class HeldRegistry:
    """A registry that takes a few deletions, and the others when it is let go."""

    def __init__(self, registry: Registry, proxy: FaultProxy) -> None:
        self.url = proxy.url
        self.direct = registry.url
        self.go_on = threading.Event()
        self._deletions = 0
        proxy.rule(self._hold)

    def tags(self) -> int:
        return len(list(rs.open(self.direct, cache=False).tags("team/app")))

    def _hold(self, request: ProxyRequest, _: Forward) -> ProxyResponse | None:
        if request.method == "DELETE":
            self._deletions += 1
            if self._deletions > _AT_FIRST:
                self.go_on.wait(60)
        return None


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[HeldRegistry]:
    with Registry(tmp_path / "registry") as running, FaultProxy(running.url) as proxy:
        pushes = [("team/app", f"v{n}", image([layer("base", 900), layer(f"{n}", 80)], n)) for n in range(1, 40)]
        Contents(pushes=[*pushes]).push_to(running.url)
        held = HeldRegistry(running, proxy)
        yield held
        held.go_on.set()


def fill(page: Page, label: str, words: str) -> None:
    page.get_by_label(label).fill(words)
    settled(page)


def use(page: Page, registry: HeldRegistry, name: str) -> None:
    """From the first rule to the undo."""
    rules, goes, doing = (pane(page, it) for it in ("Rules", "To be deleted", "Apply the plan"))
    expect(pane(page, "Plan")).to_contain_text("Enter a rule")
    fill(page, "Keep the newest images", "soon")
    expect(rules).to_contain_text("valid integer")
    fill(page, "Keep the newest images", "3")
    fill(page, "Always keep", "v1*")
    expect(goes.locator("output")).to_contain_text("of 26")
    assert set(column(goes, 1)) == {"team/app"}
    expect(pane(page, "Matched, but kept")).to_contain_text("protect=v1*")
    expect(doing.get_by_role("button", name="Apply")).to_have_count(0)
    doing.get_by_role("button", name="Dry run").click()
    expect(doing.get_by_role("button", name="Apply")).to_be_disabled()
    fill(page, "Keep the newest images", "4")  # another plan: it was not tried
    expect(doing.get_by_role("button", name="Apply")).to_have_count(0)
    fill(page, "Keep the newest images", "3")
    doing.get_by_role("button", name="Dry run").click()
    fill(page, "To apply, type", "team/app")
    picture(page, f"remediate-{name}")
    doing.get_by_role("button", name="Apply").click()
    use_meanwhile(page, registry, name)
    expect(doing.get_by_role("button", name="Undo")).to_be_disabled()
    expect(doing).to_contain_text(".jsonl")
    assert registry.tags() == 13
    fill(page, "Keep the newest images", "4")  # what was done can be undone, whatever the rules say by now
    fill(page, "Keep the newest images", "3")
    fill(page, "To undo, type", "team/app")
    doing.get_by_role("button", name="Undo").click()
    expect(doing).to_contain_text("Undone")
    assert registry.tags() == 39
    picture(page, f"remediate-{name}-undone")


def use_meanwhile(page: Page, registry: HeldRegistry, name: str) -> None:
    """While the registry is busy deleting, the rules wait and the tables do not."""
    goes = pane(page, "To be deleted")
    expect(page.get_by_role("progressbar", name="Applying")).to_be_visible()
    expect(page.get_by_label("Always keep")).to_be_disabled()
    goes.get_by_role("searchbox").fill("v21")
    expect(goes.locator("tbody tr")).to_have_count(1)
    goes.get_by_role("searchbox").fill("")
    expect(goes.locator("tbody tr")).to_have_count(15)
    assert registry.tags() > 13
    page.get_by_role("progressbar", name="Applying").scroll_into_view_if_needed()
    picture(page, f"remediate-{name}-applying")
    registry.go_on.set()
    expect(page.get_by_label("Always keep")).to_be_enabled()


@pytest.mark.parametrize(("run", "name"), [(run_in_lab, "lab"), (run_in_notebook, "notebook")])
def test_in_a_notebook_the_next_cell_sees_it(
    window: Page, jupyter_url: str, notebooks: Path, registry: HeldRegistry, run: Run, name: str
) -> None:
    write_notebook(notebooks / "remediate.ipynb", [_OPEN.format(url=registry.url), _NEXT])
    with watched(window, jupyter_url):
        run(window, jupyter_url, "remediate.ipynb")
        use(window, registry, name)
        window.locator(".jp-CodeCell").last.click()
        window.keyboard.press("Escape")
        window.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell')")
        expect(window.locator(".jp-CodeCell").last).to_contain_text(
            "keep_last=3, protect=['v1*']) 26 {'done': 26} True"
        )


def test_in_voila(window: Page, jupyter_url: str, notebooks: Path, registry: HeldRegistry) -> None:
    write_notebook(notebooks / "remediate-voila.ipynb", [_OPEN.format(url=registry.url)])
    with watched(window, jupyter_url):
        run_in_voila(window, jupyter_url, "remediate-voila.ipynb")
        use(window, registry, "voila")
