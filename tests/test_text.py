from __future__ import annotations

import html
import re
import sys
import unicodedata
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regscope import text

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\" onmouseover='alert(1)' x=\"",
    "entity": "&lt;b&gt;",
    "ansi colour": "\x1b[31mred\x1b[0m",
    "ansi title and clear": "\x1b]0;owned\x07\x1b[2J\x1b[H",
    "8-bit csi": "\x9b31mred",
    "bidi override": "abc\u202etxt.exe",
    "bidi isolate": "\u2066user\u2069",
    "nul": "a\x00b",
    "line breaks": "a\r\nb\u2028c\u2029d\x85e\x0bf",
    "zero width": "pass\u200bword\ufeff\u2060",
    "tag characters": "hi\U000e0041\U000e0042\U000e007f",
    "soft hyphen and fillers": "a\xadb\u3164c\u115fd\uffa0",
    "lone surrogate": "a\ud800b\udfff",
    "long": "x" * 10_000,
    "not text": 12.5,
    "nothing": None,
}
anything = st.text(st.characters(), max_size=60) | st.sampled_from([str(value) for value in HOSTILE.values()])


class Collector(HTMLParser):
    """What a browser would make of a fragment: its tags, and its text."""

    def __init__(self, fragment: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(fragment)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


# --- plain ------------------------------------------------------------------------------------------------------------


def test_no_control_and_no_reordering_character_of_all_unicode_stays() -> None:
    forbidden = {"Cc", "Cs", "Zl", "Zp"}
    reordering = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI", "BN"}
    allowed = re.compile("[\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]")  # shorthand and music: invisible, harmless
    stays = [
        f"U+{point:04X}"
        for point in range(sys.maxunicode + 1)
        if (character := chr(point))
        and (unicodedata.category(character) in forbidden or unicodedata.bidirectional(character) in reordering)
        and text.plain(character) == character
        and not allowed.match(character)
    ]
    assert stays == []


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    ordinary = "RUN apk add --no-cache curl && echo 'ü é 漢字 עברית العربية हिन्दी 🚀' # 100 % <ok>"
    assert text.plain(ordinary) == ordinary


def test_an_escape_sequence_loses_its_escape_and_stays_readable() -> None:
    assert text.plain("\x1b[31mred\x1b[0m") == " [31mred [0m"
    assert text.plain("a\x00b\nc\td") == "a b c d"
    assert text.plain("abc\u202etxt.exe") == "abc txt.exe"


def test_what_is_no_text_is_shown_as_python_shows_it() -> None:
    assert text.plain(None) == "None"
    assert text.plain(12.5) == "12.5"


@pytest.mark.parametrize(
    ("limit", "shown"), [(None, "abcdef"), (7, "abcdef"), (6, "abcdef"), (5, "abcd…"), (2, "a…"), (1, "…")]
)
def test_a_cut_text_ends_with_an_ellipsis_within_the_limit(limit: int | None, shown: str) -> None:
    assert text.plain("abcdef", limit) == shown


def test_ten_thousand_characters_are_cut_to_the_limit_and_otherwise_kept() -> None:
    assert len(text.plain("x" * 10_000)) == 10_000
    assert text.plain("x" * 10_000, 200) == "x" * 199 + "…"
    assert text.escape("<" * 10_000, 3) == "&lt;&lt;…"


@given(anything, st.integers(1, 50))
def test_plain_text_fits_its_limit_prints_and_is_stable(value: str, limit: int) -> None:
    shown = text.plain(value, limit)
    assert len(shown) <= limit
    assert len(text.plain(value)) == len(value)
    assert text.plain(shown) == shown
    shown.encode("utf-8")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


# --- escape -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_escaped_text_shows_literally_in_a_page_and_in_an_attribute(value: object) -> None:
    escaped = text.escape(value)
    inside = Collector(f'<p title="{escaped}">{escaped}</p>')
    assert inside.tags == ["p"]
    assert inside.attributes == {"title"}
    assert inside.text == text.plain(value)
    assert Collector(f"<p title='{escaped}'>x</p>").attributes == {"title"}


@given(anything)
def test_escaping_adds_no_markup_and_loses_no_visible_character(value: str) -> None:
    escaped = text.escape(value)
    assert not set(escaped) & set("<>\"'")
    assert html.unescape(escaped) == html.unescape(text.plain(value)) or Collector(escaped).text == text.plain(value)


def test_a_text_is_cut_before_it_is_escaped_so_that_no_entity_is_torn() -> None:
    assert text.escape("a<b>c", 3) == "a&lt;…"


# --- sizes, shares and counts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "worded"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (2, "2 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1024, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (5_000_000_000, "5.0 GB"),
        (2**63 - 1, "9.2 EB"),
        (-1, "-1 byte"),
        (-1_500_000, "-1.5 MB"),
        (np.int64(1_500_000), "1.5 MB"),
        (np.float64(2), "2 bytes"),
        (None, "–"),
        (float("nan"), "–"),
        (np.nan, "–"),
        (pd.NA, "–"),
        (pd.NaT, "–"),
    ],
)
def test_a_size_is_worded_in_decimal_units_and_an_absent_one_is_a_dash(value: Any, worded: str) -> None:
    assert text.size(value) == worded


@pytest.mark.parametrize(
    ("share", "worded"),
    [
        (0, "0.0 %"),
        (0.1234, "12.3 %"),
        (0.9999, "100.0 %"),
        (1, "100.0 %"),
        (-0.5, "-50.0 %"),
        (np.float64(0.5), "50.0 %"),
        (None, "–"),
        (float("nan"), "–"),
        (pd.NA, "–"),
    ],
)
def test_a_share_is_worded_in_percent_and_an_absent_one_is_a_dash(share: Any, worded: str) -> None:
    assert text.percent(share) == worded


@pytest.mark.parametrize(
    ("number", "noun", "nouns", "worded"),
    [
        (0, "tag", None, "0 tags"),
        (1, "tag", None, "1 tag"),
        (2, "tag", None, "2 tags"),
        (1_234_567, "blob", None, "1,234,567 blobs"),
        (1, "repository", "repositories", "1 repository"),
        (3, "repository", "repositories", "3 repositories"),
    ],
)
def test_a_count_agrees_with_its_noun(number: int, noun: str, nouns: str | None, worded: str) -> None:
    assert text.count(number, noun, nouns) == worded


# --- facts and cards --------------------------------------------------------------------------------------------------


def test_facts_stand_in_columns_under_their_title() -> None:
    assert text.facts("Title", {"a": 1, "longer": "two"}, ["a note"]) == ("Title\n  a       1\n  longer  two\n  a note")
    assert text.facts("Alone", {}) == "Alone"


@given(anything, anything, anything, anything)
def test_facts_have_one_line_for_each_whatever_they_hold(title: str, name: str, value: str, note: str) -> None:
    lines = text.facts(title, {name: value}, [note]).split("\n")
    assert lines == [text.plain(title), f"  {text.plain(name)}  {text.plain(value)}", f"  {text.plain(note)}"]


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_a_card_escapes_everything_that_it_is_given(value: object) -> None:
    bad = str(value)
    page = Collector(text.card(bad, {bad: bad}, [bad], [bad], [[value]]))
    assert page.tags == ["style", "div", "h4", "table", "tr", "th", "td", "table", "tr", "th", "tr", "td", "div"]
    assert page.attributes == {"class"}
    assert page.text.removeprefix(text.CARD_STYLE.removeprefix("<style>").removesuffix("</style>")) == (
        text.plain(bad) * 4 + text.plain(value, 200) + text.plain(bad)
    )


def test_a_card_without_columns_has_no_second_table() -> None:
    assert text.card("Title", {"a": 1}, rows=[["ignored"]]).count("<table>") == 1
