"""The files of an image to look through."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import regscope as rs
from regscope.tables import Snapshot
from regscope.views.explorer.file_browser import SHOWN, FileBrowser
from tests.lab.file_snapshots import file
from tests.lab.row_snapshots import RegistryRows, layer
from tests.views.explorer.code import gives


@pytest.fixture
def browser(inside: Snapshot) -> FileBrowser:
    return rs.file_browser(inside, "team/api:1.0")


def lines(browser: FileBrowser) -> list[str]:
    """The lines of the tree, in words."""
    return [re.sub("<[^>]+>", " ", line) for line in re.findall(r"<button[^>]*>(.*?)</button>", browser.html)]


def toggle(browser: FileBrowser, name: str) -> None:
    found = re.search(rf'data-do="folder" data-value="(\d+)"[^>]*>(?:(?!</button>).)*<bdi>{name}/</bdi>', browser.html)
    assert found, name
    browser.do("folder", found[1])


def test_the_root_is_open_and_the_largest_directory_first(browser: FileBrowser) -> None:
    assert [re.findall(r"(\S*/)", line)[0] for line in lines(browser)] == ["/", "app/", "usr/", "etc/"]


def test_a_directory_opens_and_closes(browser: FileBrowser) -> None:
    toggle(browser, "app")
    assert any("libc.so" in line for line in lines(browser))
    toggle(browser, "app")
    assert not any("libc.so" in line for line in lines(browser))


def test_directories_with_nothing_else_in_them_open_as_one() -> None:
    rows = RegistryRows()
    base = layer("base", 10_000, "ADD rootfs.tar /")
    rows.contents(base, file("a/b/c/one", "1", size=5), file("a/b/c/d/two", "2", size=3), file("other", "3", size=1))
    rows.image("a", ["1"], [base])
    browser = rs.file_browser(rows.snapshot(), "a:1")
    toggle(browser, "a")
    assert any("one" in line for line in lines(browser))
    assert not any("two" in line for line in lines(browser))


def test_what_nobody_sees_is_struck_through_with_the_reason(browser: FileBrowser) -> None:
    toggle(browser, "app")
    assert re.search(r"<s><bdi>key.pem</bdi></s> <small>deleted by layer 2</small>", browser.html)


def test_what_is_stored_more_than_once_says_how_often(browser: FileBrowser) -> None:
    toggle(browser, "app")
    assert any("libc.so" in line and "stored 2 times" in line for line in lines(browser))


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("layer", ["all", "0", "1"])
@pytest.mark.parametrize("folder", ["", "app"])
def test_the_code_gives_the_files_that_are_shown(
    browser: FileBrowser, inside: Snapshot, shown: str, layer: str, folder: str
) -> None:
    browser.do("shown", shown)
    browser.do("layer", layer)
    browser.picked = folder
    assert gives(browser.code, inside, browser.table)


def test_a_layer_shows_what_it_brought(browser: FileBrowser) -> None:
    browser.do("layer", "0")
    assert set(browser.table["layer"]) == {0}
    assert not any("app/" in line for line in lines(browser))


def test_wasted_files_alone_are_just_those(browser: FileBrowser, inside: Snapshot) -> None:
    browser.do("shown", "wasted")
    pd.testing.assert_frame_equal(browser.table, rs.wasted_files(inside, "team/api:1.0"))
    toggle(browser, "app")
    assert not any("libc.so" in line for line in lines(browser))


def test_another_image_begins_anew(browser: FileBrowser) -> None:
    browser.do("layer", "0")
    toggle(browser, "usr")
    browser.image = "team/nightly:0"
    assert (browser.layer, browser.picked) == (None, "")
    assert not any("libc.so" in line for line in lines(browser))


def test_a_directory_with_many_files_shows_some_and_then_more() -> None:
    rows = RegistryRows()
    base = layer("base", 10_000, "ADD rootfs.tar /")
    rows.contents(base, *(file(f"{n:04}", f"{n}", size=5000 - n) for n in range(1000)))
    rows.image("a", ["1"], [base])
    browser = rs.file_browser(rows.snapshot(), "a:1")
    assert len(lines(browser)) == 1 + 50 + 1
    assert "950 smaller ones" in lines(browser)[-1]
    browser.do("more", re.findall(r'data-do="more" data-value="(\d+)"', browser.html)[0])
    assert len(lines(browser)) == 1 + 100 + 1


def test_without_files_it_says_how_to_read_them(layout: Path) -> None:
    browser = rs.file_browser(rs.scan(rs.open(f"oci:{layout}")), "app:1.0")
    assert "were not read" in browser.html
    assert "rs.scan_files(snap, store, images=&#39;app:1.0&#39;)" in browser.html
    assert 'data-do="read"' not in browser.html
    assert browser.table.empty
    browser.do("read")
    assert "were not read" in browser.html


def test_with_a_store_it_reads_them_and_keeps_those_that_were_read(layout: Path) -> None:
    store = rs.open(f"oci:{layout}")
    snap = rs.scan_files(rs.scan(store), store, images="base:1")
    browser = rs.file_browser(snap, "team/worker:2.0", store)
    assert 'data-do="read"' in browser.html
    seen: list[str] = []
    browser.observe(lambda change: seen.append(change["new"]), "html")
    browser.do("read")
    assert any("Reading the layers: 0 %" in html and 'data-do="read"' not in html for html in seen)
    assert any("Reading the layers: 100 %" in html for html in seen)
    assert "Reading" not in browser.html
    assert "srv/" in browser.html
    assert "tmp/" in browser.html
    browser.image = "base:1"
    assert "etc/" in browser.html
