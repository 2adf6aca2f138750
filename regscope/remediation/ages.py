"""The times when images were built and pushed, by their sources; an unknown age is never old."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from regscope.analysis.columns import numbered
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.stale import FIRST_IMAGES
from regscope.arrays import Bools, Ints, ends_run, greatest, looked_up
from regscope.remediation.stated_times import inherited, stated
from regscope.schema import TIME

UNKNOWN = np.iinfo(np.int64).min
"""Stands for an unknown time, and for a tag that is no version."""

FIRST_SEEN = "first seen"
BY = ("unknown", "created", "label", "annotation", FIRST_SEEN, "pushed")
"""The sources of an age."""

_UNKNOWN, _CREATED, _LABEL, _ANNOTATION, _FIRST_SEEN, _PUSHED = range(len(BY))
_FIRST_IMAGES = FIRST_IMAGES.value // 1000


class Age(NamedTuple):
    """Times of rows, with their sources.

    Attributes:
        at: the times in microseconds since 1970; `UNKNOWN` where it is not known.
        by: the sources, as positions in `BY`.
    """

    at: Ints
    by: Ints

    def of(self, rows: Ints) -> Age:
        """The times of these rows."""
        return Age(self.at[rows], self.by[rows])

    def where(self, condition: Bools, other: Age) -> Age:
        """These times where the condition holds, else those of `other`."""
        return Age(np.where(condition, self.at, other.at), np.where(condition, self.by, other.by))


class Ages:
    """When the images of a snapshot were built and pushed; each time is computed once.

    Times before there were container images are ignored: reproducible builders write 1970 or 1980. Then the label or
    annotation `org.opencontainers.image.created` of the image counts (OCI image spec, annotations), the later of them;
    then the time of the earlier snapshot that first had the digest: the image is at least that old.
    """

    def __init__(self, graph: ReferenceGraph) -> None:
        self._graph = graph

    @cached_property
    def built(self) -> Age:
        """When the newest image of each placement was built; the images of an index are its children.

        An image without a time may be the newest: then the index's own annotation counts, and then the time of the
        earlier snapshot that first had the index, or each of the images.
        """
        graph, total = self._graph, self._graph.n_nodes
        images = graph.snap.is_image.to_numpy()
        root, node = graph.children.closure(np.arange(total, dtype=np.int64))
        manifest = graph.node_manifest[node]
        counts = images[manifest] | ~_any(images[manifest], root, total)[root]
        root, manifest = root[counts], manifest[counts]
        newest, complete = _newest(self._said, root, manifest, total)
        own = self._said.of(graph.node_manifest)
        own = own.where(own.at >= newest.at, newest)
        seen = self._first_seen.of(graph.node_manifest)
        at_least, all_seen = newest, complete
        if not graph.snap.first_seen.empty:
            known = self._said.where(self._said.at > UNKNOWN, self._first_seen)
            at_least, all_seen = _newest(known, root, manifest, total)
        found = seen.where(seen.at > UNKNOWN, at_least.where(all_seen, _nothing(total)))
        found = Age(np.maximum(found.at, np.where(found.at > UNKNOWN, newest.at, UNKNOWN)), found.by)
        found = own.where(self._said.at[graph.node_manifest] > UNKNOWN, found)
        return newest.where(complete, found)

    @cached_property
    def pushed(self) -> Age:
        """When each row of `tags` was pushed."""
        at = _microseconds(self._graph.snap.tags["pushed"])
        return Age(at, np.where(at > UNKNOWN, _PUSHED, _UNKNOWN))

    @cached_property
    def is_at_least(self) -> Bools:
        """Which placements may be older than `built_or_pushed`: the time of their build is not known."""
        found: Bools = np.isin(self.built.by, [_FIRST_SEEN, _UNKNOWN])
        return found

    def last_active(self, tags: Ints) -> Age:
        """When each of these rows of `tags` was built or, if known, pushed, whichever was later."""
        return _later(self._built_under(tags), self.pushed.of(tags))

    def last_active_without_tag(self, nodes: Ints) -> Age:
        """When each of these placements was built or, if known, its manifest was pushed, whichever was later."""
        at = _microseconds(self._graph.snap.placements["pushed"])
        return _later(self.built.of(nodes), Age(at, np.where(at > UNKNOWN, _PUSHED, _UNKNOWN)).of(nodes))

    def last_used(self, tags: Ints) -> Ints:
        """When each of these rows of `tags` was pulled last, or pushed, whichever was later (microseconds).

        A pull of a part counts: of a child of an index, or of what is attached. Where the store does not state when
        images were pulled, the time is `UNKNOWN`.
        """
        graph, snap = self._graph, self._graph.snap
        if not snap.sees_pulls:
            return np.full(len(tags), UNKNOWN)
        placed = np.maximum(_microseconds(snap.placements["pulled"]), _microseconds(snap.placements["pushed"]))
        root, node = graph.children.closure(graph.tag_node[tags])
        within = greatest(root, placed[node], len(tags), absent=UNKNOWN)
        own = np.maximum(_microseconds(snap.tags["pulled"])[tags], self.pushed.at[tags])
        return np.maximum(within, own)

    def built_or_pushed(self, tags: Ints) -> Age:
        """When each of these rows of `tags` was built; if that is not known, when it was pushed."""
        built, pushed = self._built_under(tags), self.pushed.of(tags)
        return pushed.where((pushed.at > UNKNOWN) & np.isin(built.by, [_FIRST_SEEN, _UNKNOWN]), built)

    def _built_under(self, tags: Ints) -> Age:
        """When the manifests that these rows of `tags` point to were built; unknown where they could not be read."""
        node = self._graph.tag_node[tags]
        return Age(looked_up(self.built.at, node, absent=UNKNOWN), looked_up(self.built.by, node, absent=_UNKNOWN))

    @cached_property
    def _said(self) -> Age:
        """The build time that each manifest states itself."""
        snap = self._graph.snap
        created = _microseconds(snap.manifests["created"])
        # For manifests without a config the scan has read the annotation.
        found = Age(created, np.where(snap.is_image.to_numpy(), _CREATED, _ANNOTATION))
        label, annotation = (self._stated(source) for source in ("config", "annotation"))
        other = annotation.where(annotation.at >= label.at, label)
        return found.where(created > UNKNOWN, other)

    def _stated(self, source: str) -> Age:
        """The build times in the manifests' labels or annotations."""
        table = stated(self._graph.snap, source)
        if table.empty:
            return _nothing(len(self._graph.manifests))
        numbers, times = numbered(self._graph.manifests, table["digest"])[0], _microseconds(table["at"])
        if source == "config":
            times = np.where(inherited(self._graph.snap, table), UNKNOWN, times)
        known = numbers >= 0
        at = greatest(numbers[known], times[known], len(self._graph.manifests), absent=UNKNOWN)
        return Age(at, np.where(at > UNKNOWN, _LABEL if source == "config" else _ANNOTATION, _UNKNOWN))

    @cached_property
    def _first_seen(self) -> Age:
        table = self._graph.snap.first_seen
        if table.empty:
            return _nothing(len(self._graph.manifests))
        at = np.full(len(self._graph.manifests), UNKNOWN)
        numbers = numbered(self._graph.manifests, table["digest"])[0]
        at[numbers[numbers >= 0]] = _microseconds(table["at"])[numbers >= 0]
        return Age(at, np.where(at > UNKNOWN, _FIRST_SEEN, _UNKNOWN))


def _later(built: Age, pushed: Age) -> Age:
    """When things were pushed, where that is known and they were not built later; else when they were built."""
    return pushed.where((pushed.at > UNKNOWN) & ((pushed.at >= built.at) | (built.by == _FIRST_SEEN)), built)


def _newest(times: Age, root: Ints, manifest: Ints, total: int) -> tuple[Age, Bools]:
    """The newest time of each root's manifests, and whether all their times are known; each root has a manifest."""
    order = np.lexsort([times.at[manifest], root])
    newest = manifest[order][ends_run(root[order])]
    return times.of(newest), ~_any(times.at[manifest] == UNKNOWN, root, total)


def _nothing(total: int) -> Age:
    return Age(np.full(total, UNKNOWN), np.full(total, _UNKNOWN))


def _any(flags: Any, position: Ints, n: int) -> Any:
    found = np.zeros(n, dtype=np.bool_)
    np.logical_or.at(found, position, flags)
    return found


def _microseconds(times: pd.Series[Any]) -> Ints:
    """Times in microseconds; absent ones become the smallest integer, which is `UNKNOWN`."""
    found: Ints = pd.DatetimeIndex(times.astype(TIME)).tz_convert(None).to_numpy("datetime64[us]").view(np.int64)
    return np.where(found >= _FIRST_IMAGES, found, UNKNOWN)
