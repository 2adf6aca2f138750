"""The treemap shows every stored byte once, and nothing over anything else."""

from __future__ import annotations

from itertools import combinations

import pytest

from regscope.analysis.stored_layers import NOWHERE, SHARED, stored_layers
from regscope.tables import Snapshot
from regscope.views.label_fit import fitted, width_of
from regscope.views.treemap import Rect, Treemap, lay_out, treemap
from tests.lab.row_snapshots import RegistryRows, layer

NEAR = 1e-6


def stored_layer_bytes(snap: Snapshot) -> int:
    blobs = snap.blobs[(snap.blobs["kind"] == "layer") & ~snap.blobs["foreign"]]
    return int(blobs["size"].sum())


def drawn(snap: Snapshot, most_layers: int = 200, most_boxes: int = 40) -> Treemap:
    return treemap(stored_layers(snap), 1120, 560, most_layers=most_layers, most_boxes=most_boxes)


def overlap(a: Rect, b: Rect) -> float:
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    return width if width <= 0 else min(width, height)


def is_inside(inner: Rect, outer: Rect) -> bool:
    return (
        inner.x >= outer.x - NEAR
        and inner.y >= outer.y - NEAR
        and inner.x + inner.width <= outer.x + outer.width + NEAR
        and inner.y + inner.height <= outer.y + outer.height + NEAR
    )


@pytest.mark.parametrize(("most_layers", "most_boxes"), [(200, 40), (60, 12), (5, 3), (1, 1), (0, 0)])
def test_the_boxes_and_their_tiles_sum_to_the_stored_layer_bytes(
    large: Snapshot, most_layers: int, most_boxes: int
) -> None:
    found = drawn(large, most_layers, most_boxes)
    assert found.size == stored_layer_bytes(large)
    assert sum(box.size for box in found.boxes) == found.size
    assert all(sum(tile.size for tile in box.tiles) == box.size for box in found.boxes)


def test_the_area_of_a_box_is_in_proportion_to_its_bytes(large: Snapshot) -> None:
    found = drawn(large)
    for box in found.boxes:
        assert box.rect.width * box.rect.height == pytest.approx(box.size / found.size * 1120 * 560, rel=1e-3)


def test_the_areas_of_tiles_in_a_box_are_in_proportion_to_their_bytes(large: Snapshot) -> None:
    for box in drawn(large).boxes:
        room = sum(tile.rect.width * tile.rect.height for tile in box.tiles)
        for tile in box.tiles:
            assert tile.rect.width * tile.rect.height == pytest.approx(tile.size / box.size * room, rel=1e-3)


def test_boxes_and_tiles_neither_overlap_nor_leave_their_place(large: Snapshot) -> None:
    found = drawn(large)
    assert all(is_inside(box.rect, Rect(0, 0, 1120, 560)) for box in found.boxes)
    assert all(overlap(a.rect, b.rect) < NEAR for a, b in combinations(found.boxes, 2))
    for box in found.boxes:
        assert all(is_inside(tile.rect, box.rect) for tile in box.tiles)
        assert all(overlap(a.rect, b.rect) < NEAR for a, b in combinations(box.tiles, 2))


def test_there_are_never_more_rectangles_than_asked_for(large: Snapshot) -> None:
    boxes = drawn(large, 200, 40).boxes
    assert len(boxes) <= 41
    assert sum(len(box.tiles) for box in boxes) <= 200 + 41


def test_a_layer_is_in_the_box_of_the_repository_that_alone_has_it() -> None:
    rows = RegistryRows()
    rows.image("a", ["1", "2"], [layer("base", 500), layer("own", 100)])
    rows.image("b", ["1"], [layer("base", 500)])
    boxes = {box.name: box for box in drawn(rows.snapshot()).boxes}
    assert {name: box.size for name, box in boxes.items()} == {SHARED: 500, "a": 100}
    assert boxes[SHARED].is_shared
    assert not boxes["a"].is_shared


def test_a_repository_that_is_called_like_the_shared_box_stays_apart_from_it() -> None:
    rows = RegistryRows()
    rows.image(SHARED, ["1"], [layer("base", 500), layer("own", 100)])
    rows.image("b", ["1"], [layer("base", 500)])
    boxes = drawn(rows.snapshot()).boxes
    assert [(box.name, box.size, box.is_shared) for box in boxes] == [(SHARED, 500, True), (SHARED, 100, False)]


def test_a_foreign_layer_takes_no_room() -> None:
    rows = RegistryRows()
    foreign = layer("windows", 9_000)
    rows.image("a", ["1"], [foreign, layer("own", 100)])
    rows.blobs[foreign.digest] = (*rows.blobs[foreign.digest][:4], True)
    assert drawn(rows.snapshot()).size == 100


def test_a_layer_that_no_repository_has_is_shown_as_such() -> None:
    rows = RegistryRows()
    lost = layer("lost", 100)
    rows.blobs[lost.digest] = (lost.digest, "layer", 100, None, False)
    assert [box.name for box in drawn(rows.snapshot()).boxes] == [NOWHERE]


def test_layers_without_a_known_size_draw_nothing() -> None:
    rows = RegistryRows()
    rows.image("a", ["1"], [layer("unknown", None), layer("nothing", 0)])
    assert drawn(rows.snapshot()).boxes == ()


@pytest.mark.parametrize(
    "sizes",
    [[1], [10**18, 1], [10**18, 10**9, 1, 1, 1], [1] * 240, [2**n for n in range(60, -1, -1)]],
    ids=["one", "vast and tiny", "vast and tinier", "equal", "powers of two"],
)
def test_any_sizes_fill_the_rectangle_without_overlap(sizes: list[int]) -> None:
    whole = Rect(3, 4, 500, 300)
    rects = lay_out(sizes, whole)
    assert len(rects) == len(sizes)
    assert sum(rect.width * rect.height for rect in rects) == pytest.approx(500 * 300)
    assert all(is_inside(rect, whole) and rect.width > 0 and rect.height > 0 for rect in rects)
    assert all(overlap(a, b) < NEAR for a, b in combinations(rects, 2))


def test_nothing_to_lay_out_gives_no_rectangles() -> None:
    assert lay_out([], Rect(0, 0, 10, 10)) == []


def test_a_label_that_is_cut_short_ends_in_one_ellipsis() -> None:
    whole = "COPY dir:… in /opt/data"
    cut = {fitted(whole, room) for room in range(40, int(width_of(whole)))}
    assert "COPY dir:…" in cut
    assert not any(label.endswith(("……", "… …")) for label in cut)
