"""Events: the effects of layer entries on paths, by node and time."""

from __future__ import annotations

import numpy as np

from regscope.arrays import Ints, marked


class Events:
    """Events at nodes.

    Three events at two nodes; for node 7, the next event after the times 2 and 6 is looked up:

    >>> events = Events(node=np.array([7, 4, 7]), by=np.array([0, 1, 2]), at=np.array([1, 3, 5]), since=None, nodes=8,
    ...                 never=99)
    >>> events.next(np.array([7, 7]), np.array([2, 6]))
    (array([ 5, 99]), array([ 2, -1]))

    Args:
        node: for each event, the node.
        by: for each event, the entry that causes it.
        at: for each event, its time.
        since: for each event, the time from which on entries are not affected by it; by default `at`.
        nodes: the number of nodes.
        never: a time after all others.
    """

    def __init__(self, node: Ints, by: Ints, at: Ints, since: Ints | None, nodes: int, never: int) -> None:
        self._never = never
        keys = self._key(node, at if since is None else since)
        order = np.argsort(keys, kind="stable")
        self._keys, self._node, self._by, self._at = keys[order], node[order], by[order], at[order]
        self._is_here = marked(node, nodes)

    def next(self, node: Ints, time: Ints) -> tuple[Ints, Ints]:
        """For each node, the time of its first event after `time`, and the entry that causes it; or `never` and -1."""
        at, by = np.full(len(node), self._never), np.full(len(node), -1)
        asked = np.flatnonzero(self._is_here[node])
        place = np.searchsorted(self._keys, self._key(node[asked], time[asked]), side="right")
        asked, place = asked[place < len(self._keys)], place[place < len(self._keys)]
        here = self._node[place] == node[asked]
        at[asked[here]], by[asked[here]] = self._at[place[here]], self._by[place[here]]
        return at, by

    def _key(self, node: Ints, time: Ints) -> Ints:
        return node * (self._never + 1) + time
