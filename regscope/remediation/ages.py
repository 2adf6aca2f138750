"""How old things are, and what is the newest: an unknown age is never old."""

from __future__ import annotations

import re
from functools import cached_property
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


class Ages:
    """When everything in a snapshot was built and pushed, in microseconds: found once, whatever is asked of it.

    Times before there were container images are no times.
    """

    def __init__(self, held: Holdings) -> None:
        self._held = held

    @cached_property
    def built(self) -> Ints:
        """When the newest image of each placement was built; an index's images are its children.

        Unknown where one of the images does not say: that one may be the newest.
        """
        held, total = self._held, self._held.n_nodes
        images = held.snap.is_image.to_numpy()
        created = _microseconds(held.snap.manifests["created"])
        root, node = held.children.closure(np.arange(total, dtype=np.int64))
        manifest = held.node_manifest[node]
        counts = images[manifest] | ~_any(images[manifest], root, total)[root]
        root, manifest = root[counts], manifest[counts]
        newest = np.full(total, UNKNOWN)
        np.maximum.at(newest, root, created[manifest])
        unknown = _any(created[manifest] == UNKNOWN, root, total)
        return np.where(unknown, UNKNOWN, newest)

    @cached_property
    def pushed(self) -> Ints:
        """When each row of `tags` was pushed."""
        return _microseconds(self._held.snap.tags["pushed"])

    def last_active(self, tags: Ints) -> Ints:
        """When each of these rows of `tags` was built or, where that is known, pushed, whichever was later."""
        return np.maximum(self.built[self._held.tag_node[tags]], self.pushed[tags])


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
