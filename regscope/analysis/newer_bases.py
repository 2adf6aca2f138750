"""The newer image under a comparable tag, for each base image that has one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from regscope.analysis.names import tagged_manifests
from regscope.spec.instructions import normalised
from regscope.tables import Snapshot

_NUMBER = re.compile(r"\b[0-9a-f]*\d[\w.]*")
_Found = dict[str, Any]


def newer_bases(snap: Snapshot, named: pd.DataFrame, tops: pd.DataFrame, bases: pd.Series[str]) -> dict[str, str]:
    """For each of `bases` with a newer comparable image, the name of the newest; `named` are the `families`.

    A newer image of one of several equal images (see `Candidates.tops`) counts for all of them, for example for a copy
    in another repository or with other compression.
    """
    described = snap.manifests[["digest", "os", "architecture", "variant"]].astype("str")
    described = described.fillna("").assign(created=snap.manifests["created"])
    images = tops.merge(described[described["created"].notna()], on="digest")
    tagged = named.merge(images, on="digest")
    found = _by_family(tagged)
    found |= _by_instructions(
        snap, tagged, images[images["digest"].isin(bases) & ~images["digest"].isin(tagged["digest"])]
    )
    alike = dict(zip(tops["digest"], tops["alike"], strict=True))
    newest: dict[int, Any] = {}
    for digest, image in found.items():
        known = newest.setdefault(alike[digest], image)
        newest[alike[digest]] = max(known, image, key=lambda one: one.created)
    of_base = {digest: newest[alike[digest]] for digest in bases.unique() if alike[digest] in newest}
    return {digest: f"{image.repository}:{image.tag}" for digest, image in of_base.items()}


def families(snap: Snapshot) -> pd.DataFrame:
    """Each tagged manifest with the family of its tag: the tag with its version numbers replaced by `N`."""
    tagged = tagged_manifests(snap)
    return tagged.assign(family=[re.sub(r"\d+(?:\.\d+)*", "N", tag) for tag in tagged["tag"]])


def _by_family(tagged: pd.DataFrame) -> _Found:
    """By digest, the newest image under a tag of the same family whose version is not lower."""
    newest: dict[tuple[str, ...], Any] = {}
    newer: _Found = {}
    # In descending order of version, so that no image seen so far has a lower version.
    images: list[Any] = list(tagged.itertuples())
    for image in sorted(images, key=_by_version, reverse=True):
        line = image.repository, image.family, image.os, image.architecture, image.variant
        best = newest.setdefault(line, image)
        if image.created > best.created:
            newest[line] = image
        elif image.created < best.created and image.chain_id != best.chain_id:
            known = newer.setdefault(image.digest, best)
            newer[image.digest] = max(known, best, key=lambda found: found.created)
    return newer


def _by_version(image: Any) -> tuple[Any, ...]:
    # Digits are compared as text: Python refuses to convert a tag's thousands of digits to a number.
    numbers = [number.lstrip("0") for number in re.findall(r"\d+", image.tag)]
    return [(len(number), number) for number in numbers], image.created, image.tag, image.repository, image.digest


def _by_instructions(snap: Snapshot, tagged: pd.DataFrame, untagged: pd.DataFrame) -> _Found:
    """By digest, the newest image in the same repository that the same instructions made: the tag was moved to it.

    If no image has exactly the same instructions, the numbers in them may differ. Images without instructions are
    compared only if all newer tags of the repository are of one family.
    """
    placed = snap.placements[["repository", "digest"]].astype("str").merge(untagged, on="digest")
    if placed.empty:
        return {}
    rivals = tagged[tagged["repository"].isin(placed["repository"])]
    said = _instructions(snap, {*placed["digest"], *rivals["digest"]})
    by_repository = {name: list(found.itertuples()) for name, found in rivals.groupby("repository")}
    newer: _Found = {}
    images: list[Any] = list(placed.itertuples())
    for image in images:
        comparable = [one for one in by_repository.get(image.repository, ()) if _is_later(one, image)]
        found = _alike(image, comparable, said)
        if found:
            newer[image.digest] = max(found, key=lambda one: (one.created, one.tag))
    return newer


def _is_later(one: Any, image: Any) -> bool:
    same = (one.os, one.architecture, one.variant) == (image.os, image.architecture, image.variant)
    return same and one.created > image.created and one.chain_id != image.chain_id


def _alike(image: Any, others: list[Any], said: dict[str, tuple[str, ...]]) -> list[Any]:
    own = said.get(image.digest, ())
    if not any(own):
        return others if len({one.family for one in others}) == 1 else []
    exactly = [one for one in others if said.get(one.digest) == own]
    return exactly or [one for one in others if _numberless(said.get(one.digest, ())) == _numberless(own)]


def _numberless(lines: Iterable[str]) -> list[str]:
    return [_NUMBER.sub("N", line) for line in lines]


def _instructions(snap: Snapshot, images: set[str]) -> dict[str, tuple[str, ...]]:
    """The normalised instructions of each image's history."""
    history = snap.history[snap.history["digest"].isin(images)].sort_values("step")
    lines = {line: normalised(line) for line in history["created_by"].dropna().unique()}
    said = pd.Series([lines.get(line, "") for line in history["created_by"]], history.index, dtype="object")
    return {str(digest): tuple(found) for digest, found in said.groupby(history["digest"].astype("str"))}
