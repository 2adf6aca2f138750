"""Whether a label fits into its place: its width is estimated from its letters, as fonts are not measured."""

from __future__ import annotations

import unicodedata

# Widths at a font size of 11, in a wide font: a label should rather be too short than run out of its rectangle.
_WIDTHS = {
    letter: width for width, letters in ((4.4, " !'(),-./:;I[]`fijlrt{|}"), (11.0, "%@MWmw…")) for letter in letters
}
_LETTER, _CAPITAL, _IDEOGRAPH = 7.1, 8.3, 13.0
_BOLD = 1.13


def width_of(label: str, *, bold: bool = False) -> float:
    """About how wide `label` is at a font size of 11."""
    return sum(map(_width, label)) * (_BOLD if bold else 1.0)


def fitted(label: str, room: float, *, whole: bool = False, bold: bool = False) -> str:
    """`label` if it fits into `room`; else its beginning and an ellipsis, or nothing if it must be `whole`."""
    if width_of(label, bold=bold) <= room:
        return label
    if whole:
        return ""
    kept = label[: max(int(room / 4), 0)]
    while kept and width_of(kept + "…", bold=bold) > room:
        kept = kept[:-1]
    return f"{kept.rstrip(' …')}…" if kept else ""


def _width(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return _IDEOGRAPH
    return _WIDTHS.get(letter, _CAPITAL if letter.isupper() else _LETTER)
