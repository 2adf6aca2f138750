"""The explorer and the policy builder where only VS Code's variables are: readable in its themes, and whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from ipywidgets import Widget
from playwright.sync_api import Browser, Page, expect

import regscope as rs
from regscope.stores.content_store import ContentStore
from regscope.tables import Snapshot
from tests.browser import PATIENCE
from tests.views.explorer.browsing import column, open_tab, pane, picture, settled, watched
from tests.views.explorer.contrast import faint
from tests.views.explorer.test_themes import VIEWS, show
from tests.views.explorer.webview import THEMES, Webview
from tests.views.remediator.test_themes import look_at_it

# What stands out of its pane, or is wider than the page; a table may be scrolled within its box.
_OUTSIDE = """
() => [...document.querySelectorAll(".regscope *")].filter((one) => {
  if (!one.getClientRects().length || one.closest("svg") || one.parentElement.closest(".scroll")) return false;
  const [own, pane] = [one.getBoundingClientRect(), one.closest(".regscope").getBoundingClientRect()];
  return own.left < pane.left - 1 || own.right > pane.right + 1 || own.bottom > pane.bottom + 1;
}).map((one) => one.outerHTML.slice(0, 80))
"""


Opened = Callable[[Widget, str], Page]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens a widget on such a page."""
    page = browser.new_page(viewport={"width": 900, "height": 1300})
    page.set_default_timeout(PATIENCE)

    def open_in(widget: Widget, theme: str) -> Page:
        Webview(page, widget, theme)
        return page

    with watched(page, "http://nowhere.invalid/"):
        yield open_in
    page.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, ContentStore]:
    store = rs.open(f"oci:{rs.build_demo(tmp_path_factory.mktemp('demo') / 'layout')}", cache=False)
    return rs.scan_files(rs.scan(store, progress=False), store, progress=False), store


@pytest.mark.parametrize("theme", THEMES)
def test_every_view_of_the_explorer_can_be_read_and_is_whole(
    opened: Opened, demo: tuple[Snapshot, ContentStore], theme: str
) -> None:
    ui = rs.explore(*demo)
    ui.image = "team/shop:3"
    page = opened(ui, theme)
    found: dict[str, list[str]] = {}
    for view in VIEWS:
        show(page, view)
        page.mouse.move(5, 5)
        picture(page, f"vscode-{theme}-{view.lower()}")
        found[view] = faint(page) + page.evaluate(_OUTSIDE)
    assert {view: wrong for view, wrong in found.items() if wrong} == {}
    assert ui.view == "problems"


@pytest.mark.parametrize("theme", THEMES)
def test_the_policy_builder_can_be_read_and_is_whole(
    opened: Opened, demo: tuple[Snapshot, ContentStore], theme: str
) -> None:
    page = opened(rs.remediate(*demo), theme)
    look_at_it(page, f"vscode-{theme}-remediate")
    assert page.evaluate(_OUTSIDE) == []


def test_what_is_done_there_reaches_python(opened: Opened, demo: tuple[Snapshot, ContentStore]) -> None:
    ui = rs.explore(*demo)
    page = opened(ui, "light")
    open_tab(page, "Images")
    images = pane(page, "Images")
    images.get_by_role("searchbox").press_sequentially("worker", delay=20)
    expect(images.locator("tbody tr")).to_have_count(2)
    expect(images.get_by_role("searchbox")).to_be_focused()
    images.get_by_role("button", name="Tag", exact=True).click()
    settled(page)
    assert column(images, 2) == ["1.0", "1.1"]
    images.locator("tbody tr").last.click()
    settled(page)
    assert list(ui.selection["tag"]) == ["1.1"]
    assert ui.image == "team/worker:1.1"
