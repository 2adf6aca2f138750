"""The treemap: into boxes and out again."""

from __future__ import annotations

import re

import pytest

import regscope as rs
from regscope.analysis.stored_layers import SHARED
from regscope.tables import Snapshot
from regscope.views.explorer.registry_treemap import RegistryTreemap
from tests.lab.row_snapshots import RegistryRows, empty, layer
from tests.views.explorer.code import gives


def boxes(treemap: RegistryTreemap) -> list[str]:
    return re.findall(r'aria-label="([^"]*)"[^>]* data-do="enter"', treemap.html)


def box(treemap: RegistryTreemap, name: str) -> str:
    return str([title.startswith(f"{name}: ") for title in boxes(treemap)].index(True))


def test_all_of_the_registry_is_in_sight_first(small: Snapshot) -> None:
    treemap = rs.registry_treemap(small)
    assert treemap.place == ()
    assert len(boxes(treemap)) == 3
    assert gives(treemap.code, small, treemap.table)


def test_going_into_a_box_shows_its_layers_and_back_out_all(small: Snapshot) -> None:
    treemap = rs.registry_treemap(small)
    treemap.do("enter", box(treemap, "team/web"))
    assert treemap.place == ("team/web",)
    assert treemap.table["created_by"].tolist()[:2] == ["RUN npm ci", "COPY web /srv"]
    assert gives(treemap.code, small, treemap.table)
    treemap.do("leave", "0")
    assert treemap.place == ()
    assert len(treemap.table) == len(rs.stored_layers(small))


def test_what_several_share_is_a_box_of_its_own(small: Snapshot) -> None:
    treemap = rs.registry_treemap(small)
    treemap.do("enter", box(treemap, SHARED))
    assert treemap.table["is_shared"].all()
    assert gives(treemap.code, small, treemap.table)


def test_a_tile_is_a_layer_to_pick(small: Snapshot) -> None:
    treemap = rs.registry_treemap(small)
    treemap.do("enter", box(treemap, "team/web"))
    digest = treemap.table["digest"].iloc[0]
    assert f'data-do="layer" data-value="{digest}"' in treemap.html
    treemap.do("layer", digest)
    assert treemap.selection["digest"].tolist() == [digest]
    assert treemap.html.count('aria-pressed="true"') == 1
    treemap.do("leave", "0")
    assert treemap.layer == ""


@pytest.fixture(scope="module")
def wide() -> Snapshot:
    rows = RegistryRows()
    for number in range(120):
        rows.image(f"team/{number:03}", ["1"], [layer(f"{number}", 1_000_000 - number, "RUN make")])
    rows.image("many/layers", ["1"], [layer(f"m {n}", 50_000 - n, "RUN make") for n in range(400)])
    return rows.snapshot()


def test_repositories_without_a_box_of_their_own_are_in_the_last_one(wide: Snapshot) -> None:
    treemap = rs.registry_treemap(wide)
    seen: set[str] = set()
    while boxes(treemap):
        seen |= {title.partition(":")[0] for title in boxes(treemap)[:-1]}
        treemap.do("enter", str(len(boxes(treemap)) - 1))
        assert gives(treemap.code, wide, treemap.table)
    seen |= set(treemap.table["owner"])
    assert seen == set(rs.stored_layers(wide)["owner"])


def test_layers_without_a_tile_of_their_own_are_in_the_last_one(wide: Snapshot) -> None:
    treemap = rs.registry_treemap(wide)
    treemap.do("enter", box(treemap, "many/layers"))
    there = set(treemap.table["digest"])
    seen: set[str] = set()
    while 'data-do="rest"' in treemap.html:
        seen |= set(re.findall(r'data-do="layer" data-value="([^"]+)"', treemap.html))
        treemap.do("rest", "")
        assert gives(treemap.code, wide, treemap.table)
    assert seen | set(re.findall(r'data-do="layer" data-value="([^"]+)"', treemap.html)) == there


def test_an_empty_registry_has_nothing_to_show() -> None:
    assert "No stored layer has a known size." in rs.registry_treemap(empty()).html
