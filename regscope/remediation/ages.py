"""How old things are, and what is the newest: an unknown age is never old."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from regscope.analysis.holdings import Holdings
from regscope.analysis.relation import Ints
from regscope.analysis.stale import FIRST_IMAGES
from regscope.schema import TIME

UNKNOWN = np.iinfo(np.int64).min
"""Stands for a time that is not known, and for what is no version."""

_FIRST_IMAGES = FIRST_IMAGES.value // 1000
_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:[+_][0-9A-Za-z.-]+)?")


def built(held: Holdings, roots: Ints) -> Ints:
    """When the newest image of each root was built, in microseconds; an index's images are its children.

    Unknown where one of the images does not say: that one may be the newest. Times before there were container images
    are no times.
    """
    images = held.snap.is_image.to_numpy()
    created = _microseconds(held.snap.manifests["created"])
    position, node = held.children.closure(roots)
    manifest = held.node_manifest[node]
    counts = images[manifest] | ~_any(images[manifest], position, len(roots))[position]
    position, manifest = position[counts], manifest[counts]
    newest = np.full(len(roots), UNKNOWN)
    np.maximum.at(newest, position, created[manifest])
    unknown = _any(created[manifest] == UNKNOWN, position, len(roots))
    return np.where(unknown, UNKNOWN, newest)


def last_active(held: Holdings, tags: Ints) -> Ints:
    """When each of these rows of `tags` was built or, where that is known, pushed, whichever was later."""
    return np.maximum(built(held, held.tag_node[tags]), pushed(held, tags))


def pushed(held: Holdings, tags: Ints) -> Ints:
    """When each of these rows of `tags` was pushed."""
    return _microseconds(held.snap.tags["pushed"])[tags]


def versions(tags: pd.Index[str]) -> Ints:
    """The order of tags that are semantic versions (semver.org, 11), a missing minor or patch being 0."""
    keys = [_version(tag) for tag in tags]
    order = {key: number for number, key in enumerate(sorted({key for key in keys if key is not None}))}
    return np.array([UNKNOWN if key is None else order[key] for key in keys], dtype=np.int64)


def _version(tag: str) -> Any:
    found = _VERSION.fullmatch(tag)
    if found is None:
        return None
    numbers = tuple(int(found[part] or 0) for part in (1, 2, 3))
    if found[4] is None:
        return numbers, 1, ()
    parts = found[4].split(".")
    return numbers, 0, tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _any(flags: Any, position: Ints, n: int) -> Any:
    found = np.zeros(n, dtype=np.bool_)
    np.logical_or.at(found, position, flags)
    return found


def _microseconds(times: pd.Series[Any]) -> Ints:
    """Times as numbers; what is absent is pandas' smallest number already."""
    found: Ints = pd.DatetimeIndex(times.astype(TIME)).tz_convert(None).to_numpy("datetime64[us]").view(np.int64)
    return np.where(found >= _FIRST_IMAGES, found, UNKNOWN)
