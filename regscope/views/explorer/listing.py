"""A table that can be searched and sorted, with rows to pick; the browser gets one page at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import traitlets

from regscope import text
from regscope.views.explorer.pane import Pane
from regscope.views.table import Column, table

ROWS = 25


class Listing(Pane):
    """The rows of a DataFrame as a widget.

    Attributes:
        search: the text that shown rows contain; case is ignored.
        sort: the column to sort by; empty for the order of the frame.
        descending: whether the largest values come first.
        page: the number of the page, from 0.
        picked: the picked row's label in the frame's index; None for none.
        table: the rows that match the search, sorted, as a DataFrame.
        selection: the picked row, as a DataFrame.
        code: the expression that returns the same as `table`.
    """

    search = traitlets.Unicode()
    sort = traitlets.Unicode()
    descending = traitlets.Bool()
    page = traitlets.Int()
    picked = traitlets.Any(None, allow_none=True)

    template = "listing.html.j2"

    def __init__(
        self,
        frame: pd.DataFrame,
        columns: Sequence[Column],
        code: str,
        *,
        title: str,
        about: str = "",
        nothing: str = "There are none.",
        searched: Sequence[str] = (),
        rows: int = ROWS,
        **traits: Any,
    ) -> None:
        """Show `frame`.

        Args:
            frame: the rows; the labels of its index are unique.
            columns: the columns shown.
            code: the expression that returns `frame`.
            title: the heading.
            about: a sentence about the rows.
            nothing: the text shown if there are no rows.
            searched: the text columns that are searched; without any there is no search field.
            rows: the number of rows of a page.
        """
        self.columns, self.title, self.about, self.nothing = list(columns), title, about, nothing
        self.searched, self.rows = list(searched), rows
        self._take(frame, code)
        super().__init__(**traits)
        self.observe(self._sift, ["search", "sort", "descending"])
        self.observe(lambda _: self.show(), ["page", "picked"])
        self._match()
        self.show()

    def fill(self, frame: pd.DataFrame, code: str, *, about: str | None = None) -> None:
        """Show other rows; the search and the order are kept."""
        self._take(frame, code)
        if about is not None:
            self.about = about
        self._match()
        self.page, self.picked = 0, None
        self.show()

    @property
    def selection(self) -> pd.DataFrame:
        """The picked row; a frame without rows if none is picked."""
        return self.frame.loc[[self.picked] if self.picked in self.frame.index else []]

    @property
    def code(self) -> str:
        """The expression that returns `table`."""
        found = self._base
        if self.search:
            found += f"[lambda t: {self._haystack_code()}.str.contains({self.search!r}, case=False, regex=False)]"
        if self.sort:
            found += f".sort_values({self.sort!r}, ascending={not self.descending}, kind='stable')"
        return found

    @property
    def pages(self) -> int:
        """The number of pages, at least one."""
        return max(-(-len(self.table) // self.rows), 1)

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Searching, sorting, turning pages and picking a row."""
        return {"search": self._search_for, "sort": self._sort_by, "page": self._turn, "pick": self._pick}

    def values(self) -> dict[str, Any]:
        """One page of the table."""
        shown = self.table.iloc[self.page * self.rows : (self.page + 1) * self.rows]
        picked = shown.index.get_loc(self.picked) if self.picked in shown.index else None
        return {
            "title": self.title,
            "about": self.about,
            "nothing": "No row matches the search." if self.search else self.nothing,
            "code": self.code,
            "can_search": bool(self.searched),
            "search": self.search,
            "sort": self.sort,
            "descending": self.descending,
            "columns": self.columns,
            "sortable": set(self.frame.columns),
            "table": table(self.dressed(shown), self.columns, top=self.rows),
            "positions": [self.page * self.rows + row for row in range(len(shown))],
            "picked": picked,
            "page": self.page,
            "pages": self.pages,
            "range": self._range(len(shown)),
        }

    def dressed(self, shown: pd.DataFrame) -> pd.DataFrame:
        """The rows of a page, with additional columns that are only shown, such as bars."""
        return shown

    def _range(self, shown: int) -> str:
        first = self.page * self.rows
        of = f" of {len(self.frame):,}" if self.search else ""
        return (
            f"{first + 1:,}–{first + shown:,} of {len(self.table):,}{f' found{of}' if of else ''}"
            if self.pages > 1
            else f"{text.count(len(self.table), 'row')}{of}"
        )

    def _take(self, frame: pd.DataFrame, code: str) -> None:
        self.frame, self._base = frame, code
        self._haystack: pd.Series[str] | None = None

    def _sift(self, _: object) -> None:
        self._match()
        self.page = 0
        self.show()

    def _match(self) -> None:
        found = self.frame
        if self.search:
            if self._haystack is None:
                self._haystack = _joined(found, self.searched)
            found = found[self._haystack.str.contains(self.search, case=False, regex=False)]
        if self.sort:
            found = found.sort_values(self.sort, ascending=not self.descending, kind="stable")
        self.table = found

    def _haystack_code(self) -> str:
        dtypes = self.frame.dtypes
        parts = [
            f"t[{name!r}]"
            + (".astype('str')" if dtypes[name] == "category" else "")
            + (".fillna('')" if self.frame[name].hasnans else "")
            for name in self.searched
        ]
        return parts[0] if len(parts) == 1 else "(" + " + ':' + ".join(parts) + ")"

    def _search_for(self, value: str) -> None:
        self.search = value

    def _sort_by(self, column: str) -> None:
        if column not in self.frame:
            return
        is_number = not pd.api.types.is_string_dtype(self.frame[column].dtype)
        with self.hold_trait_notifications():
            self.descending = not self.descending if self.sort == column else is_number
            self.sort = column

    def _turn(self, page: str) -> None:
        self.page = min(max(int(page), 0), self.pages - 1)

    def _pick(self, position: str) -> None:
        if int(position) < len(self.table):
            self.picked = self.table.index[int(position)]


def _joined(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series[str]:
    first, *others = (frame[column].astype("str").fillna("") for column in columns)
    found = first
    for other in others:
        found = found + ":" + other
    return found
