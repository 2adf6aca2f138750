"""The stored layers of a registry as a treemap whose boxes can be opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd
import traitlets

from regscope import text
from regscope.snapshot_argument import takes_snapshot
from regscope.tables import Snapshot
from regscope.views.explorer.pane import Pane
from regscope.views.explorer.snapshot_views import SnapshotViews
from regscope.views.treemap import Treemap, owner_sizes, treemap

_WIDTH, _HEIGHT = 1120, 460
_BOXES, _TILES = 40, 250


class Place(NamedTuple):
    """A level of the treemap: its layers, the expression that returns them, and their layout."""

    name: str
    layers: pd.DataFrame
    code: str
    map: Treemap


class RegistryTreemap(Pane):
    """Repositories as boxes, layers as tiles.

    Attributes:
        layer: the digest of the picked layer; empty if none is picked.
        place: the names of the opened boxes, outermost first.
        table: the layers of the open box, of `regscope.stored_layers`.
        selection: the row of the picked layer.
        code: the expression that returns the same as `table`.
    """

    layer = traitlets.Unicode()
    place = traitlets.Tuple()

    template = "registry_treemap.html.j2"

    def __init__(self, views: SnapshotViews) -> None:
        self._trail = [_place("All repositories", views.stored, "rs.stored_layers(snap)")]
        super().__init__()
        self.observe(lambda _: self.show(), ["layer", "place"])
        self.show()

    @property
    def table(self) -> pd.DataFrame:
        """The layers of the open box."""
        return self._trail[-1].layers

    @property
    def selection(self) -> pd.DataFrame:
        """The row of the picked layer."""
        return self.table[self.table["digest"] == self.layer]

    @property
    def code(self) -> str:
        """The expression that returns `table`."""
        return self._trail[-1].code

    def actions(self) -> Mapping[str, Callable[[str], None]]:
        """Opening a box, closing it, and picking a layer."""
        return {"enter": self._enter, "leave": self._leave, "layer": self._pick, "rest": self._see_rest}

    def values(self) -> dict[str, Any]:
        """The map of the open box."""
        found = self._trail[-1].map
        return {
            "trail": [text.plain(place.name, 200) for place in self._trail],
            "map": found,
            "is_inside": len(found.boxes) == 1,
            "layer": self.layer,
            "about": f"{text.size(found.size)} in {text.count(int((self.table['size'] > 0).sum()), 'layer')}",
            "picked": [self._said(row) for row in self.selection.itertuples(index=False)],
            "code": self.code,
        }

    def _said(self, row: Any) -> str:
        line = text.plain(row.created_by, 200) if isinstance(row.created_by, str) else "(no build line)"
        return f"{line} · {text.size(row.size)} · {text.plain(row.digest)}"

    def _enter(self, number: str) -> None:
        """Open a box of the map; the last box is that of all smaller repositories."""
        owners, layers = owner_sizes(self.table).index, self.table
        if int(number) < min(len(owners), _BOXES):
            is_shared, owner = owners[int(number)]
            code = f"[lambda t: (t['owner'] == {owner!r}) & (t['is_shared'] == {bool(is_shared)})]"
            self._go(owner, layers[(layers["owner"] == owner) & (layers["is_shared"] == is_shared)], code)
        else:
            named = [owner for _, owner in owners[:_BOXES]]
            rest = layers[~layers["owner"].isin(named)]
            self._go("Smaller repositories", rest, f"[lambda t: ~t['owner'].isin({named!r})]")

    def _see_rest(self, _: str) -> None:
        """Open the layers that are too small to have a tile."""
        drawn = sum(bool(tile.key) for tile in self._trail[-1].map.boxes[0].tiles)
        self._go("Smaller layers", self.table.iloc[drawn:], f".iloc[{drawn}:]")

    def _go(self, name: str, layers: pd.DataFrame, code: str) -> None:
        self._trail.append(_place(name, layers, self.code + code))
        self._arrived()

    def _leave(self, depth: str) -> None:
        del self._trail[int(depth) + 1 :]
        self._arrived()

    def _arrived(self) -> None:
        self.layer = ""
        self.place = tuple(place.name for place in self._trail[1:])

    def _pick(self, digest: str) -> None:
        self.layer = digest


def _place(name: str, layers: pd.DataFrame, code: str) -> Place:
    found = treemap(layers, _WIDTH, _HEIGHT, most_layers=_TILES, most_boxes=_BOXES)
    return Place(name, layers, code, found)


@takes_snapshot
def registry_treemap(snap: Snapshot) -> RegistryTreemap:
    """A widget with each stored layer as a tile, in the box of its only repository or of shared layers.

    Returns:
        A widget. Its trait `layer` is the digest of the picked layer, `table` a DataFrame of the layers of the open
        box, with the columns of `regscope.stored_layers`.
    """
    return RegistryTreemap(SnapshotViews(snap))
