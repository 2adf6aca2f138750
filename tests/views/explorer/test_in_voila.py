"""The explorer as a web application: `voila notebooks/explorer.ipynb`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.servers.registry import Registry
from tests.views.explorer.browsing import column, open_tab, pane, picture, settled, watched
from tests.views.explorer.jupyter import voila

NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "explorer.ipynb"


@pytest.fixture(scope="module")
def application(window: Page, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with (
        voila(NOTEBOOK, tmp_path_factory.mktemp("voila"), {"REGSCOPE_EXPLORE": registry.url}) as url,
        watched(window, url),
    ):
        window.goto(url)
        window.get_by_role("tablist", name="Views").wait_for()
        yield window


def test_it_is_the_registry_that_was_named(application: Page, registry: Registry) -> None:
    expect(application.get_by_role("heading", name=registry.host)).to_be_visible()
    expect(application.locator("text=import regscope")).to_have_count(0)
    picture(application, "voila-registry")


def test_an_image_is_searched_for_and_picked(application: Page) -> None:
    open_tab(application, "Images")
    images = pane(application, "Images")
    images.get_by_role("searchbox").fill("worker")
    expect(images.locator("tbody tr")).to_have_count(1)
    images.locator("tbody tr").click()
    settled(application)
    picture(application, "voila-images")
    open_tab(application, "Layers")
    assert "RUN rm -rf /tmp/cache" in column(pane(application, "Layers"), 4)[3]


def test_the_treemap_is_gone_into(application: Page) -> None:
    open_tab(application, "Registry")
    treemap = pane(application, "Where the bytes are")
    treemap.locator("[data-do=enter]").first.click()
    expect(treemap.locator("[data-do=leave]")).to_have_count(1)


def test_files_are_read_and_the_tree_is_opened(application: Page) -> None:
    open_tab(application, "Files")
    files = pane(application, "Files")
    files.get_by_role("button", name="Read the files").click()
    files.get_by_role("button", name="tmp/").click()
    expect(files.get_by_role("button", name="cache")).to_contain_text("deleted by layer 3")
    picture(application, "voila-files")


def test_two_images_are_compared(application: Page) -> None:
    open_tab(application, "Compare")
    for heading, name in (("Before", "app:1.0"), ("After", "app:1.1")):
        picker = pane(application, heading)
        picker.get_by_role("searchbox").fill(name)
        expect(picker.locator("tbody tr")).to_have_count(1)
        picker.locator("tbody tr").click()
    expect(application.get_by_role("tab", name="Config (2)")).to_be_visible()
    picture(application, "voila-compare")
