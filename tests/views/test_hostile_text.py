"""Whatever a registry says is shown as text, and stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page

from regscope import text
from regscope.tables import Snapshot
from regscope.views.file_tree import FilePage, file_tree
from regscope.views.report import Report, report
from tests.lab.file_snapshots import device, file, hardlink, symlink, whiteout
from tests.lab.row_snapshots import NOW, Layer, RegistryRows, layer, sha
from tests.views.reading import ReadPage

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"><img src=x onerror=alert(1)> ' onmouseover='alert(1)",
    "template": "{{7*7}}{% raw %}{{ self.__init__ }}",
    "end of script": "</script></style></title></svg><svg onload=alert(1)>",
    "comment": "<!--<script>alert(1)//--><![CDATA[<img src=x>]]>",
    "terminal": "\x1b[31mred\x1b[0m \x07",
    "bidi": "abc\u202etxt.exe\u2066\u200f",
    "nul": "a\x00b",
    "surrogate": "a\ud800b",
    "long": "<b>" + "x" * 10_000,
    "wide": "漢字" * 200,
}
ELEMENTS = {
    "a",
    "b",
    "bdi",
    "body",
    "code",
    "dd",
    "div",
    "dl",
    "details",
    "dt",
    "footer",
    "g",
    "h1",
    "h2",
    "head",
    "header",
    "html",
    "i",
    "li",
    "line",
    "link",
    "main",
    "meta",
    "nav",
    "p",
    "pattern",
    "rect",
    "s",
    "script",
    "section",
    "small",
    "span",
    "strong",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "ul",
    "wbr",
}
ATTRIBUTES = {
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "charset",
    "class",
    "content",
    "data-value",
    "datetime",
    "height",
    "href",
    "http-equiv",
    "id",
    "lang",
    "name",
    "open",
    "patterntransform",
    "patternunits",
    "preserveaspectratio",
    "rel",
    "role",
    "scope",
    "tabindex",
    "text-anchor",
    "title",
    "viewbox",
    "width",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
}


def path_of(said: str) -> str:
    """What a tar can name a file."""
    return said.replace("/", "|").strip() or "-"


def hostile(said: str) -> Snapshot:
    """A registry that says it everywhere, in the files of its layers too."""
    rows = RegistryRows()
    base, newer = Layer(said + "base", 5_000_000, said), Layer(sha("newer"), 6_000_000, said)
    old = NOW - timedelta(days=400)
    rows.image(said, [said + "1.0"], [base], created=old, labels=[(said, said)], architecture=said)
    rows.image(said, [said + "2.0"], [newer], labels=[(said, said)], architecture=said)
    name = path_of(said)
    risky = {"mode": 0o4755, "secret": said, "magic": said}
    rows.contents(
        base,
        file(name, "one", size=3_000_000, **risky),
        symlink("link", said),
        hardlink("again", name),
        file(f"{name}.d/{name}/x.{name}", "two", size=900, **risky),
        device("null", said),
    )
    rows.contents(newer, file(name, "other", size=2_000_000, **risky))
    top, twin = Layer(sha("top"), 90_000, said), Layer(sha("twin"), 80_000, said)
    for one, when in ((top, NOW), (twin, old)):
        rows.contents(one, file(name, "again", size=100_000, mtime=when), whiteout(f"{name}.d"))
    rows.image("deep", [said], [base, top], created=NOW)
    rows.image("deeper", [said], [base, twin], created=old)
    rows.image(said + "/app", [said], [base, Layer(sha("own"), 70_000, f"/bin/sh -c #(nop) {said}")], created=old)
    rows.image("plain", ["1"], [base, layer("b", 9)], architecture=said)
    for _ in range(9):
        rows.problem(said, said, said, said)
    return rows.snapshot(said)


@pytest.fixture(params=HOSTILE, scope="module")
def said(request: pytest.FixtureRequest) -> str:
    # What a Parquet file or an HTTP response can hold: no lone surrogates.
    return HOSTILE[request.param].encode("utf-8", "replace").decode()


@pytest.fixture(scope="module")
def made(said: str) -> Report:
    return report(hostile(said), title=said)


@pytest.fixture(scope="module")
def tree(said: str) -> FilePage:
    snap = hostile(said)
    return file_tree(snap, str(snap.tags.loc[snap.tags["repository"] == "deep", "digest"].iloc[0]))


def test_it_makes_no_element_and_no_attribute(made: Report) -> None:
    read = ReadPage(made.html)
    assert set(read.elements) <= ELEMENTS
    assert read.attributes <= ATTRIBUTES
    assert (read.elements["script"], read.elements["style"]) == (1, 1)
    assert read.elements["h1"] == 1
    assert read.elements["section"] == 22


def test_it_is_shown_as_it_is_written(said: str, made: Report) -> None:
    read = ReadPage(made.html)
    shown = text.plain(said, 200)
    assert read.head == shown
    assert [cell.text for cell in read.sections["problems"].rows[0]] == [shown] * 4
    assert shown in [cell.text for cell in read.sections["repositories"].column("Repository")]


def test_no_control_or_bidirectional_character_is_left(made: Report) -> None:
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", made.html)


def test_a_file_tree_makes_no_element_and_no_attribute_either(tree: FilePage) -> None:
    read = ReadPage(tree.html)
    assert set(read.elements) <= ELEMENTS
    assert read.attributes <= ATTRIBUTES | {"open"}
    assert (read.elements["script"], read.elements["style"], read.elements["section"]) == (0, 1, 3)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", tree.html)
    assert len(tree.html) < 60_000


def test_a_file_tree_shows_names_and_targets_as_they_are_written(said: str, tree: FilePage) -> None:
    texts = ReadPage(tree.html).texts
    assert text.plain(path_of(said), 160) in texts
    assert text.plain(said, 120) in texts


def test_a_browser_runs_asks_for_and_complains_of_nothing_in_a_file_tree(
    tree: FilePage, show: Callable[[str], Page]
) -> None:
    page = show(tree.html)
    page.evaluate("for (const folder of document.querySelectorAll('details')) folder.open = true")
    assert page.locator("img, iframe, script, b:not(dd b, .tree b)").count() == 0
    assert page.locator(".tree li:visible").count() == page.locator(".tree li").count() > 5


def test_a_title_may_hold_a_lone_surrogate() -> None:
    assert "\ud800" not in report(RegistryRows().snapshot(), title=HOSTILE["surrogate"]).html


def test_a_template_is_not_run() -> None:
    page = report(hostile("{{7*7}}")).html
    assert "{{7*7}}" in page


def test_long_text_is_cut_so_that_the_page_stays_small() -> None:
    assert len(report(hostile("<b>" + "x" * 10_000)).html) < 200_000


def test_a_browser_runs_asks_for_and_complains_of_nothing(said: str, made: Report, show: Callable[[str], Page]) -> None:
    page = show(made.html)
    assert page.locator("img, iframe, b:not(dd b)").count() == 0
    assert page.locator("h1").inner_text().split() == text.plain(said, 200).split()


def test_a_browser_runs_nothing_in_a_notebook_either(said: str, made: Report, show: Callable[[str], Page]) -> None:
    page = show("<!DOCTYPE html><meta charset=utf-8><title>notebook</title>" + made._repr_html_())
    frame = page.frame_locator("iframe")
    assert frame.locator("h1").inner_text().split() == text.plain(said, 200).split()
    assert page.locator("body > *").count() == 1
