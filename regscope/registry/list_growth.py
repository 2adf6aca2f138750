"""Bounds on a paged list: each page must bring something new, and the whole must not grow without end."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from regscope.errors import RequestError, TooLarge
from regscope.spec.json_forms import one_line

MOST_NAMES = 250_000
"""Entries that are read of one list by default."""
_MOST_BYTES = 2**27  # characters of all entries together
_MOST_PAGES = 20_000
_MOST_REPEATS = 3  # pages in a row without a new entry
_MOST_EMPTY = 100  # pages in a row
_LONGEST = 3600  # seconds


class ListGrowth:
    """The pages and entries of a list that were read so far.

    Args:
        what: the list, for messages.
        most: entries that are read of the list.
    """

    def __init__(self, what: str, most: int = MOST_NAMES) -> None:
        self._what = what
        self._most = most
        self._known: set[str | int] = set()
        self._bytes = 0
        self._asked: set[str] = set()
        self._repeats = self._empty = 0
        self._until = time.monotonic() + _LONGEST

    def ask(self, url: str) -> int:
        """Note the address of a page before it is requested, and return the page's number, from 1.

        Raises:
            RequestError: the page was requested before, there are too many pages, or they take too long.
        """
        if url in self._asked:
            raise self._endless("its pages link in a circle")
        if self._repeats >= _MOST_REPEATS or self._empty >= _MOST_EMPTY:
            raise self._endless("page after page brings nothing new")
        if len(self._asked) >= _MOST_PAGES or time.monotonic() > self._until:
            raise self._endless(f"{len(self._asked):,} pages had no end")
        self._asked.add(url)
        return len(self._asked)

    def take(self, entries: Iterable[Any]) -> list[Any]:
        """The entries of a page that no earlier page had.

        Raises:
            TooLarge: the list has more entries than are read.
        """
        fresh, count = [], 0
        for count, entry in enumerate(entries, 1):  # noqa: B007
            said = entry if isinstance(entry, str) else one_line(entry)
            key = said if isinstance(entry, str) else hash(said)
            if key not in self._known:
                self._known.add(key)
                self._bytes += len(said)
                fresh.append(entry)
        if len(self._known) > self._most or self._bytes > _MOST_BYTES:
            raise self._too_many()
        self._repeats = self._repeats + 1 if count and not fresh else 0
        self._empty = 0 if count else self._empty + 1
        return fresh

    def _too_many(self) -> TooLarge:
        size = f"{self._most:,} entries" if len(self._known) > self._most else f"{_MOST_BYTES:,} bytes"
        return TooLarge(
            f"{self._what} has more than {size}: not read further",
            next_step="Name the repositories or tags yourself, or raise the limit: most_names=…, REGSCOPE_MOST_NAMES.",
        )

    def _endless(self, why: str) -> RequestError:
        return RequestError(
            f"{self._what} never ends: {why}",
            next_step="Report it to whoever runs the registry: its Link headers should end with the last page.",
        )
