"""The first three answers of a report: stored bytes, the repositories that have them, and what can be deleted."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from regscope import text
from regscope.analysis.what_if import what_if
from regscope.tables import Snapshot
from regscope.views.table import exact_bytes

_PLACES = 4
_BOUND = {True: "", False: "at most, "}


class Amount(NamedTuple):
    """Humanised bytes, their meaning, and the exact number; `section` is the page's section about them."""

    value: str
    meaning: str
    title: str
    section: str = ""


class Place(NamedTuple):
    """The bytes of one repository alone, or shared bytes, and the length of the bar in percent; 0 for no bar."""

    name: str
    value: str
    title: str
    length: float
    is_shared: bool = False


class ReportAnswers(NamedTuple):
    """The answers at the top of the page.

    Attributes:
        stored: the stored bytes.
        apart: the bytes without sharing.
        places: the bytes by repository, largest first; together all stored bytes.
        offers: what can be deleted, each independently of the others.
    """

    stored: Amount
    apart: Amount
    places: list[Place]
    offers: list[Amount]


def answers(snap: Snapshot, sharing: pd.DataFrame, stale: pd.DataFrame, older_than: str) -> ReportAnswers:
    """The answers of the report's head.

    Args:
        snap: the snapshot.
        sharing: the result of `regscope.sharing`.
        stale: the result of `regscope.stale`.
        older_than: the age that makes a tag stale, in words.
    """
    registry = sharing.iloc[0]
    stored, apart = int(registry["unique"]), int(registry["total"])
    repositories = sharing[sharing["level"] == "repository"]
    return ReportAnswers(
        Amount(text.size(stored), "stored, with shared layers counted once", exact_bytes(stored)),
        Amount(text.size(apart), "if nothing were shared", exact_bytes(apart)),
        _places(repositories, stored),
        [_offer_of_stale(snap, stale, older_than), *_offer_of_untagged(snap), *_offer_of_orphans(snap)],
    )


def _places(repositories: pd.DataFrame, stored: int) -> list[Place]:
    alone: list[tuple[str, int, bool | None]] = [
        (str(name), int(size), False) for name, size in repositories[["repository", "exclusive"]].to_numpy()
    ]
    shared = stored - sum(size for _, size, _ in alone)
    found = sorted([*alone, ("shared by several", shared, True)], key=lambda place: -place[1])
    found = [place for place in found if place[1]]
    if len(found) > _PLACES + 1:
        rest = found[_PLACES:]
        others = f"{len(rest):,} others" + (", and shared bytes" if any(place[2] for place in rest) else "")
        found = [*found[:_PLACES], (others, sum(size for _, size, _ in rest), None)]
    longest = max((size for _, size, is_shared in found if is_shared is not None), default=1)
    return [
        Place(
            text.plain(name, 200),
            text.size(size),
            f"{text.plain(name, 200)}: {exact_bytes(size)}, {text.percent(size / stored)}",
            0 if is_shared is None else round(size / longest * 100, 1),
            bool(is_shared),
        )
        for name, size, is_shared in found
    ]


def _offer_of_stale(snap: Snapshot, stale: pd.DataFrame, older_than: str) -> Amount:
    if stale.empty:
        return Amount(text.size(0), f"by age: no tag is older than {older_than}", exact_bytes(0))
    freed = what_if(snap, delete=stale).freed_bytes
    which = "the tag" if len(stale) == 1 else f"the {len(stale):,} tags"
    said = f"{_BOUND[snap.sees_everything]}by deleting {which} older than {older_than}"
    return Amount(text.size(freed), said, exact_bytes(freed), "stale")


def _offer_of_untagged(snap: Snapshot) -> list[Amount]:
    untagged = snap.placements.loc[snap.placements["found"] == "untagged", ["repository", "digest"]]
    if untagged.empty:
        return []
    freed = what_if(snap, delete=untagged).freed_bytes
    said = f"{_BOUND[snap.sees_everything]}by deleting {text.count(len(untagged), 'manifest')} without a tag"
    return [Amount(text.size(freed), said, exact_bytes(freed))]


def _offer_of_orphans(snap: Snapshot) -> list[Amount]:
    if snap.orphans.empty:
        return []
    size = int(snap.orphans["size"].sum())
    said = f"by garbage collection: {text.count(len(snap.orphans), 'blob')} that no manifest needs"
    return [Amount(text.size(size), said, exact_bytes(size))]
