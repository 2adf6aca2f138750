"""What a reader does with a report in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from regscope.views.report import Report

Show = Callable[[str], Page]

OUTSIDE = """
() => [...document.querySelectorAll("svg.map text")].filter((label) => {
  if (!label.getClientRects().length) return false;
  let rect = label.previousElementSibling;
  while (rect.tagName !== "rect") rect = rect.previousElementSibling;
  const [inner, outer] = [label.getBBox(), rect.getBBox()];
  return inner.x < outer.x || inner.x + inner.width > outer.x + outer.width + 1;
}).map((label) => label.textContent)
"""


def values(page: Page, section: str, column: int) -> list[str]:
    cells: list[str] = page.locator(f"#{section} tbody tr:visible td:nth-child({column})").all_inner_texts()
    return cells


def sizes(page: Page, section: str, column: int) -> list[int]:
    cells = page.locator(f"#{section} tbody td:nth-child({column})").all()
    return [int(cell.get_attribute("data-value") or -1) for cell in cells]


def head(page: Page, section: str, name: str) -> Locator:
    return page.locator(f"#{section} th", has_text=name)


def test_a_click_on_a_head_sorts_numbers_largest_first_and_the_next_one_turns_them(
    show: Show, large_report: Report
) -> None:
    page = show(large_report.html)
    head(page, "repositories", "Shared").get_by_role("button", name="Shared", exact=True).click()
    found = sizes(page, "repositories", 3)
    assert found == sorted(found, reverse=True)
    expect(page.locator("#repositories th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    page.locator("#repositories th[aria-sort] button").click()
    assert sizes(page, "repositories", 3) == sorted(found)
    expect(page.locator("#repositories th[aria-sort]")).to_have_attribute("aria-sort", "ascending")


def test_the_keyboard_alone_sorts_words(show: Show, large_report: Report) -> None:
    page = show(large_report.html)
    page.locator("#repositories input").focus()
    page.keyboard.press("Tab")  # the table, which scrolls
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    found = values(page, "repositories", 1)
    assert found == sorted(found)
    expect(page.locator("#repositories th").first).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("Space")
    assert values(page, "repositories", 1) == found[::-1]


def test_what_is_absent_sorts_last_either_way(show: Show, small_report: Report) -> None:
    page = show(small_report.html)
    for _ in range(2):
        page.locator("#layers th:nth-child(2) button").click()
        assert sizes(page, "layers", 2)[-1] == -1


def test_a_search_shows_the_rows_that_have_the_text_and_counts_them(show: Show, large_report: Report) -> None:
    page = show(large_report.html)
    page.get_by_label("Search in Sharing between repositories").fill("PAYMENTS/")
    found = values(page, "repositories", 1)
    assert found
    assert all(name.startswith("payments/") for name in found)
    expect(page.locator("#repositories output")).to_have_text(f"{len(found)} of 50 rows")
    page.locator("#repositories input").fill("")
    assert len(values(page, "repositories", 1)) == 50


def test_a_search_finds_a_whole_digest(show: Show, large_report: Report) -> None:
    page = show(large_report.html)
    digest = page.locator("#layers tbody td").first.get_attribute("title")
    assert digest
    page.locator("#layers input").fill(digest)
    assert values(page, "layers", 1) == [digest.removeprefix("sha256:")[:12]]


def test_a_long_table_shows_fifty_rows_and_is_sorted_and_searched_as_a_whole(show: Show, large_report: Report) -> None:
    page = show(large_report.html)
    every = page.locator("#tags tbody tr td:first-child").all_text_contents()
    assert len(every) == 1000
    assert values(page, "tags", 1) == every[:50]
    expect(page.locator("#tags output")).to_have_text("50 of 1,000 rows")
    page.locator("#tags input").fill(every[-1])
    assert every[-1] in values(page, "tags", 1)
    page.locator("#tags input").fill("")
    head(page, "tags", "Exclusive").first.get_by_role("button").click()
    head(page, "tags", "Exclusive").first.get_by_role("button").click()
    assert values(page, "tags", 1) == page.locator("#tags tbody td:first-child").all_text_contents()[:50] != every[:50]


def test_the_keyboard_alone_shows_all_rows_and_goes_on_from_there(show: Show, large_report: Report) -> None:
    page = show(large_report.html)
    page.locator("#stale input").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#stale .tools button")).to_be_focused()
    page.keyboard.press("Enter")
    assert len(values(page, "stale", 1)) == page.locator("#stale tbody tr").count() == 774
    expect(page.locator("#stale .tools button")).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.locator("#stale th button").first).to_be_focused()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("made", ["large_report", "inside_report"])
def test_the_first_screen_says_how_much_where_and_what_can_go(
    show: Show, made: str, width: int, request: pytest.FixtureRequest
) -> None:
    page = show(request.getfixturevalue(made).html)
    page.set_viewport_size({"width": width, "height": 800})
    for question in ("Storage", "By repository", "Can be freed"):
        answer = page.locator(".answers > div", has=page.get_by_text(question, exact=True))
        expect(answer).to_be_in_viewport(ratio=1)
        assert re.search(r"[0-9] (bytes|[kMG]B)", answer.inner_text())
    named = page.locator(".answers bdi").first
    assert named.evaluate("it => it.scrollWidth <= it.clientWidth")


def test_the_answers_lead_to_their_tables(show: Show, large_report: Report) -> None:
    page = show(large_report.html)
    page.get_by_role("link", name="by deleting the 774 tags").click()
    expect(page.locator("#stale h2")).to_be_in_viewport()
    assert page.url.endswith("#stale")


def test_a_script_that_is_not_its_own_does_not_run(page: Page, small_report: Report) -> None:
    refused: list[str] = []

    def note(message: ConsoleMessage) -> None:
        refused.append(message.text)

    page.on("console", note)
    page.set_content(small_report.html)
    ran = page.evaluate(
        "() => { const it = document.createElement('script'); it.textContent = 'window.ran = 1';"
        " document.body.append(it); document.body.setAttribute('onclick', 'window.ran = 2'); document.body.click();"
        " return window.ran ?? 0; }"
    )
    assert ran == 0
    assert all("Content Security Policy" in line for line in refused)
    assert refused


def test_without_javascript_every_row_is_there_and_nothing_is_offered(browser: Browser, large_report: Report) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.set_content(large_report.html)
        assert len(values(page, "layers", 1)) == 50
        assert len(values(page, "tags", 1)) == 1000
        assert page.locator("button, input").count() == 0


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_is_no_wider_than_its_window(show: Show, large_report: Report, width: int) -> None:
    page = show(large_report.html)
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [400, 1280])
def test_labels_of_the_map_stay_in_their_rectangles(show: Show, large_report: Report, width: int) -> None:
    page = show(large_report.html)
    page.set_viewport_size({"width": width, "height": 900})
    expect(page.locator("svg.map:visible")).to_have_count(1)
    assert page.locator("svg.map:visible text").count() > 10
    assert page.evaluate(OUTSIDE) == []


def test_light_and_dark_follow_the_reader(show: Show, small_report: Report) -> None:
    page = show(small_report.html)
    paper = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(paper) == "rgb(21, 24, 27)"


def test_on_paper_there_is_every_section_and_no_control(show: Show, inside_report: Report) -> None:
    page = show(inside_report.html)
    on_screen = page.locator("section:visible").count()
    page.emulate_media(media="print")
    assert page.locator("section:visible").count() == on_screen == 22
    assert page.locator("nav:visible, input:visible, .tools button:visible").count() == 0
    assert page.locator("tbody tr:visible").count() == page.locator("tbody tr").count() > 60
    looks = "it => [getComputedStyle(it).display, getComputedStyle(it).borderStyle]"
    assert page.locator("th button").first.evaluate(looks) == ["contents", "none"]


def test_a_long_table_on_paper_says_what_is_left_out(show: Show, large_report: Report) -> None:
    page = show(large_report.html)
    page.emulate_media(media="print")
    assert len(values(page, "tags", 1)) == 50
    expect(page.locator("#tags output")).to_be_visible()


def test_tables_on_paper_are_as_wide_as_the_paper(show: Show, inside_report: Report) -> None:
    page = show(inside_report.html)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 900})  # A4 with margins of 12 mm
    wide = "() => [...document.querySelectorAll('table')].map((it) => it.offsetWidth)"
    assert set(page.evaluate(wide)) == {703}


def test_in_a_notebook_the_page_sorts_and_its_links_stay_inside(show: Show, large_report: Report) -> None:
    page = show("<!DOCTYPE html><meta charset=utf-8><title>notebook</title><h1>mine</h1>" + large_report._repr_html_())
    frame = page.frame_locator("iframe")
    frame.locator("nav a", has_text="Stale tags").click()
    expect(frame.locator("#stale h2")).to_be_in_viewport()
    frame.locator("#stale th button", has_text="Exclusive").click()
    expect(frame.locator("#stale th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    assert [it.url for it in page.frames[1:]] == ["about:srcdoc"]
    assert page.locator("h1").evaluate("it => getComputedStyle(it).letterSpacing") == "normal"
