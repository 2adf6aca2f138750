"""Text for people: the one place where text from a registry is escaped, and where sizes and times are formatted.

Labels, history lines, tags and paths come from untrusted sources. In HTML they go through `escape`, in a terminal
through `plain`; nothing else in regscope puts such text into output.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import humanize

# Control characters (C0, DEL, C1), and characters that reorder or hide text: none may reach a terminal.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)

ABSENT = "–"
"""What stands for a value that is not there."""

CARD_STYLE = (
    "<style>.rs-card{font-size:13px;line-height:1.5}.rs-card h4{margin:0 0 4px;font-weight:600}"
    ".rs-card td,.rs-card th{padding:1px 12px 1px 0!important;text-align:left!important;vertical-align:top}"
    ".rs-card td.rs-number{text-align:right!important;font-variant-numeric:tabular-nums}"
    ".rs-card .rs-note{opacity:.75}</style>"
)


def plain(text: object, limit: int | None = None) -> str:
    """`text` without control, bidirectional and invisible characters, cut to `limit` characters."""
    kept = _UNPRINTABLE.sub(" ", str(text))
    return kept if limit is None or len(kept) <= limit else kept[: max(limit - 1, 0)] + "…"


def escape(text: object, limit: int | None = None) -> str:
    """`text` escaped for HTML, cut to `limit` characters."""
    return html.escape(plain(text, limit), quote=True)


def size(value: float | None) -> str:
    """Bytes in decimal units, as registries and disks count: `1.2 MB`; an absent value is a dash."""
    if not isinstance(value, Real) or value != value:  # pandas' NA is no number, and cannot be compared
        return ABSENT
    return "-" + size(-value) if value < 0 else humanize.naturalsize(value, format="%.1f").replace("Byte", "byte")


def short_digest(digest: object) -> str:
    """The first twelve digits of a digest, without its algorithm."""
    return plain(digest).rpartition(":")[2][:12]


def percent(share: float | None) -> str:
    """A share from 0 to 1 as `12.3 %`; an absent value is a dash."""
    return ABSENT if not isinstance(share, Real) or share != share else f"{share * 100:.1f} %"


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 tag`, `1,234 tags`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def facts(title: str, items: Mapping[str, object], notes: Iterable[str] = ()) -> str:
    """A titled list of facts for a terminal."""
    width = max((len(name) for name in items), default=0)
    lines = [plain(title), *(f"  {plain(name):<{width}}  {plain(value)}" for name, value in items.items())]
    return "\n".join([*lines, *(f"  {plain(note)}" for note in notes)])


def card(
    title: str,
    items: Mapping[str, object],
    notes: Iterable[str] = (),
    columns: Sequence[str] = (),
    rows: Iterable[Sequence[object]] = (),
) -> str:
    """The same facts for a notebook, with an optional small table under them; everything is escaped."""
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in items.items())
    parts = [CARD_STYLE, '<div class="rs-card">', f"<h4>{escape(title)}</h4>", f"<table>{body}</table>"]
    if columns:
        head = "".join(f"<th>{escape(column)}</th>" for column in columns)
        cells = "".join("<tr>" + "".join(f"<td>{escape(cell, 200)}</td>" for cell in row) + "</tr>" for row in rows)
        parts.append(f"<table><tr>{head}</tr>{cells}</table>")
    parts += [f'<div class="rs-note">{escape(note)}</div>' for note in notes]
    return "".join([*parts, "</div>"])
