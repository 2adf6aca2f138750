"""A report, read back from its HTML with the standard library's parser."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"input", "link", "meta", "wbr"}


@dataclass
class Cell:
    """A cell of a table as the page has it."""

    text: str = ""
    title: str = ""
    value: str | None = None


@dataclass
class Section:
    """A section of the page as the page has it."""

    text: str = ""
    heads: list[str] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    more: str = ""
    more_title: str = ""

    def column(self, head: str) -> list[Cell]:
        """The cells under a head."""
        place = self.heads.index(head)
        return [row[place] for row in self.rows]

    def numbers(self, head: str) -> list[int | None]:
        """What a column sorts by."""
        return [None if cell.value is None else int(cell.value) for cell in self.column(head)]


class ReadPage(HTMLParser):
    """The elements, attributes, figures, sections and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.figures: dict[str, tuple[str, str]] = {}
        self.sections: dict[str, Section] = {}
        self.texts: list[str] = []
        self.titles: list[str] = []
        self.head = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self._section = Section()
        self._label = ""
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements[tag] += 1
        self.attributes |= given.keys()
        if "title" in given:
            self.titles.append(given["title"])
        if tag == "section":
            self._section = self.sections[given["id"]] = Section()
        if tag == "tr":
            self._section.rows.append([])
        if tag == "td":
            self._section.rows[-1].append(Cell("", given.get("title", ""), given.get("data-value")))
        if tag == "th":
            self._section.heads.append("")
        if tag not in VOID:
            self._open.append((tag, given))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"
        if tag == "thead":
            self._section.rows.clear()

    def handle_data(self, data: str) -> None:
        if not self._open:
            return
        tag, given = self._open[-1]
        if tag in ("style", "script"):
            return
        self.texts.append(data)
        self._section.text += data
        if tag == "title":
            self.titles.append(data)
        if tag == "h1":
            self.head = data
        if tag == "td":
            self._section.rows[-1][-1].text += data
        if tag == "th":
            self._section.heads[-1] += data
        if tag == "p" and given.get("class") == "more":
            self._section.more, self._section.more_title = data, given.get("title", "")
        if tag == "dt":
            self._label = data
        if tag == "b":
            self.figures[self._label] = (data, self._open[-2][1].get("title", ""))

    @property
    def text(self) -> str:
        """All that a reader sees, tooltips apart."""
        return "".join(self.texts)
