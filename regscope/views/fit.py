"""Whether a label fits where it should stand: an estimate from the letters, as nothing here measures fonts."""

from __future__ import annotations

import unicodedata

# Of the average letter, and of a letter as wide as it is high, at a font size of 11.
_LETTER, _WIDE = 6.1, 11.5


def width_of(label: str) -> float:
    """About how wide `label` is at a font size of 11."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in label)
    return wide * _WIDE + (len(label) - wide) * _LETTER


def fitted(label: str, room: float, *, whole: bool = False) -> str:
    """`label` if it fits into `room`, else as much of it as does, with an ellipsis; nothing where it must be `whole`."""
    if width_of(label) <= room:
        return label
    if whole:
        return ""
    kept = label[: max(int(room / _LETTER), 0)]
    while kept and width_of(kept + "…") > room:
        kept = kept[:-1]
    return f"{kept.rstrip()}…" if kept else ""
