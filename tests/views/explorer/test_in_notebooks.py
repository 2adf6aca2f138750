"""What a user does with the explorer in JupyterLab and in Notebook 7, on a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.servers.registry import Registry
from tests.views.explorer.browsing import (
    column,
    open_tab,
    pane,
    picture,
    run_in_lab,
    run_in_notebook,
    settled,
    watched,
    write_notebook,
)

_OPEN = """
import regscope as rs
store = rs.open("{url}")
snap = rs.scan(store)
ui = rs.explore(snap, store)
ui
"""
# A field that is typed in faster than any kernel answers; what is said to the kernel is written down.
_TYPE_AT_ONCE = """
(field) => {
  window.said = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (message) {
    const text = typeof message === "string" ? message : new TextDecoder().decode(message);
    const found = text.match(/"do":"search","value":"(.*?)"/);
    if (found) window.said.push(found[1]);
    return send.call(this, message);
  };
  for (const words of ["t", "te", "tea", "team", "team/w"]) {
    field.value = words;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
"""


@pytest.fixture(scope="module", params=[run_in_lab, run_in_notebook])
def notebook(
    window: Page, jupyter_url: str, notebooks: Path, registry: Registry, request: pytest.FixtureRequest
) -> Iterator[Page]:
    write_notebook(
        notebooks / "explore.ipynb",
        [_OPEN.format(url=registry.url), "print('picked', ui.image, len(ui.tags), ui.view, len(ui.selection), '.')"],
    )
    with watched(window, jupyter_url):
        request.param(window, jupyter_url, "explore.ipynb")
        yield window


@pytest.fixture
def images(notebook: Page) -> Locator:
    open_tab(notebook, "Images")
    found = pane(notebook, "Images")
    found.get_by_role("searchbox").fill("")
    settled(notebook)
    return found


def pick(images: Locator, name: str) -> None:
    """Search for an image and pick it."""
    images.get_by_role("searchbox").fill(name)
    expect(images.get_by_role("status").or_(images.locator("output")).last).to_contain_text("of")
    images.locator("tbody tr").first.click()
    settled(images.page)


def test_searching_while_typing(images: Locator) -> None:
    images.get_by_role("searchbox").press_sequentially("team/api", delay=20)
    expect(images.locator("tbody tr")).to_have_count(4)
    assert set(column(images, 1)) == {"team/api"}
    expect(images.get_by_role("searchbox")).to_be_focused()
    expect(images.get_by_role("searchbox")).to_have_value("team/api")


def test_what_is_typed_before_the_answer_is_there_is_said_then_as_one(images: Locator, notebook: Page) -> None:
    images.get_by_role("searchbox").evaluate(_TYPE_AT_ONCE)
    settled(notebook)
    assert notebook.evaluate("window.said") == ["t", "team/w"]
    assert set(column(images, 1)) == {"team/worker"}


def test_sorting_by_a_click_on_a_head(images: Locator) -> None:
    images.get_by_role("button", name="Tag", exact=True).click()
    expect(images.locator("th[aria-sort=ascending]")).to_have_text("Tag")
    tags = column(images, 2)
    assert tags == sorted(tags)
    images.get_by_role("button", name="Size", exact=True).click()
    expect(images.locator("th[aria-sort=descending]")).to_have_text("Size")


def test_the_following_cell_sees_what_was_picked(images: Locator, notebook: Page) -> None:
    pick(images, "team/worker")
    cell = notebook.locator(".jp-CodeCell").nth(1)
    cell.locator(".cm-content").click()
    notebook.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-OutputArea-output")).to_have_text("picked team/worker:2.0 1 images 1 .\n")
    picture(notebook, "explore-notebook" if "/notebooks/" in notebook.url else "explore-lab")


def test_layers_stand_with_their_build_lines_and_say_who_has_them(images: Locator, notebook: Page) -> None:
    pick(images, "team/worker")
    open_tab(notebook, "Layers")
    layers, holders = pane(notebook, "Layers"), pane(notebook, "Images with this layer")
    expect(layers.locator("tbody tr")).to_have_count(4)
    assert "RUN rm -rf /tmp/cache" in column(layers, 4)[3]
    layers.locator("tbody tr").nth(0).click()
    expect(holders.locator("tbody tr")).to_have_count(10)
    layers.locator("tbody tr").nth(2).click()
    expect(holders.locator("tbody tr")).to_have_count(1)
    assert column(holders, 1) == ["team/worker"]


def test_going_into_the_treemap_and_out(notebook: Page) -> None:
    open_tab(notebook, "Registry")
    treemap, holders = pane(notebook, "Where the bytes are"), pane(notebook, "Images with this layer")
    treemap.get_by_role("button", name="team/worker: ").click()
    expect(treemap.locator("[aria-current=location]")).to_have_text("team/worker")
    treemap.get_by_role("button", name="RUN fetch").click()
    expect(holders.locator("tbody tr")).to_have_count(1)
    treemap.get_by_role("button", name="All repositories").click()
    expect(treemap.locator("[aria-current=location]")).to_have_text("All repositories")


def test_reading_the_files_and_opening_the_tree(images: Locator, notebook: Page) -> None:
    pick(images, "team/worker")
    open_tab(notebook, "Files")
    files = pane(notebook, "Files")
    files.get_by_role("button", name="Read the files").click()
    files.get_by_role("button", name="tmp/").click()
    expect(files.get_by_role("button", name="cache")).to_contain_text("deleted by layer 3")
    files.get_by_label("Show").select_option("wasted files")
    expect(files.get_by_role("button", name="srv/")).to_have_count(0)
    files.get_by_label("Layer").select_option("0: ADD rootfs.tar.gz /")
    expect(files.get_by_role("button", name="tmp/")).to_have_count(0)


def test_comparing_two_images(notebook: Page) -> None:
    open_tab(notebook, "Compare")
    for heading, name in (("Before", "app:1.0"), ("After", "app:1.1")):
        picker = pane(notebook, heading)
        picker.get_by_role("searchbox").fill(name)
        expect(picker.locator("tbody tr")).to_have_count(1)
        picker.locator("tbody tr").click()
    notebook.get_by_role("button", name="Read the files of both").click()
    notebook.get_by_role("tab", name="Files (1)").click()
    found = notebook.locator(".regscope", has=notebook.get_by_role("heading", name="Files")).last
    expect(found.locator("tbody tr")).to_have_count(1)
    assert column(found, 1) == ["/srv/app.py"]


def test_a_registry_without_problems_says_so(notebook: Page) -> None:
    open_tab(notebook, "Problems")
    expect(pane(notebook, "Problems")).to_contain_text("Everything could be read.")


def test_the_keyboard_alone_picks_an_image(images: Locator, notebook: Page) -> None:
    search = images.get_by_role("searchbox")
    search.focus()
    heads = images.locator("thead button").count()
    for _ in range(heads + 1):
        notebook.keyboard.press("Tab")
    rows = images.locator("tbody button")
    expect(images.locator("tbody button:focus")).to_have_count(1)
    notebook.keyboard.press("Home")
    notebook.keyboard.press("ArrowDown")
    notebook.keyboard.press("ArrowDown")
    expect(rows.nth(2)).to_be_focused()
    notebook.keyboard.press("Enter")
    expect(rows.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(rows.nth(2)).to_be_focused()
    notebook.keyboard.press("Tab")
    expect(images.locator("tbody button:focus")).to_have_count(0)


def test_the_keyboard_alone_changes_the_view_and_goes_into_the_treemap(notebook: Page) -> None:
    open_tab(notebook, "Images")
    tabs = notebook.get_by_role("tablist", name="Views")
    notebook.keyboard.press("Home")
    expect(tabs.get_by_role("tab", name="Registry")).to_be_focused()
    notebook.keyboard.press("Enter")
    treemap = pane(notebook, "Where the bytes are")
    expect(treemap).to_be_visible()
    notebook.keyboard.press("Tab")
    box = treemap.locator("[data-do=enter]").first
    expect(box).to_be_focused()
    notebook.keyboard.press("Enter")
    expect(treemap.locator("[data-do=leave]")).to_have_count(1)


def test_keys_of_the_explorer_do_nothing_to_the_cells(images: Locator, notebook: Page) -> None:
    cells = notebook.locator(".jp-Cell")
    for where in (images.locator("tbody button").first, images.get_by_role("button", name="Size", exact=True)):
        where.focus()
        for key in ("d", "d", "x", "m", "b"):
            notebook.keyboard.press(key)
        where.click()
        settled(notebook)
        notebook.keyboard.press("b")
    expect(cells).to_have_count(2)
    expect(notebook.locator(".jp-CodeCell")).to_have_count(2)
