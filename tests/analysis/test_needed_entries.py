"""What is left of layers without the entries that nobody needs comes to the same file system."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from regscope.analysis.layer_entries import LayerEntries
from regscope.analysis.needed_entries import comes_to_the_same, needed_entries
from regscope.layers.stacked import Stacked
from tests.lab import layered
from tests.lab.corners import CORNERS, FOLDER, LINK, MORE_CORNERS, SYMLINK, entry, tar
from tests.lab.tars import rows_of
from tests.layers import folder_model

HAND_MADE = CORNERS | MORE_CORNERS


def stacked(layers: list[bytes]) -> Stacked:
    snap = layered.tables({"image:1": layers})
    digests = snap.layers["blob_digest"].astype("str").tolist()
    return LayerEntries(snap, list(dict.fromkeys(digests)), ["path"]).stacked(digests)


def kept(layers: list[bytes], whole: tuple[int, ...] = ()) -> tuple[list[list[bool]], list[list[str]]]:
    """By layer, which of its entries stay; and the paths of those that are dropped."""
    image = stacked(layers)
    needed = needed_entries(image, whole)
    paths = [row["path"] for layer in layers for row in rows_of(layer).to_pylist()]
    by_layer = [image.layer == number for number in range(len(layers))]
    dropped = [[paths[at] for at in np.flatnonzero(rows & ~needed)] for rows in by_layer]
    return [needed[rows].tolist() for rows in by_layer], dropped


DROPPED = {
    "overwritten": [["a"], []],
    "deleted": [["d/a"], ["d/a"]],
    "a folder deleted": [["d", "d/e", "d/e/a"], ["d"]],
    "opaque": [["d/a"], ["d"]],
    "a file in the place of a folder": [["d", "d/a"], []],
    "a hard link outlives its target": [[], []],
    "twice in one layer": [["a"]],
    "deleted and made again": [["a"], ["a"], []],
    "a whiteout of nothing": [[], ["d/none"]],
    "all deleted, then more": [["d", "d/e", "d/e/f", "a"], ["d", "a"], []],
    "a link to a lower layer": [[], [], []],
    "folders merge, the last header counts": [[], []],
    "no headers of folders": [[], []],
}


@pytest.mark.parametrize("corner", DROPPED)
def test_what_nobody_sees_goes(corner: str) -> None:
    assert kept(HAND_MADE[corner])[1] == DROPPED[corner]


@pytest.mark.parametrize("corner", HAND_MADE)
def test_a_layer_that_is_to_stay_whole_does(corner: str) -> None:
    layers = HAND_MADE[corner]
    for number in range(len(layers)):
        assert all(kept(layers, (number,))[0][number])


@settings(deadline=None, max_examples=60)
@given(folder_model.layers)
def test_drawn_layers_come_to_the_same(layers: list[folder_model.Layer]) -> None:
    tars = [folder_model.tar_of(layer) for layer in layers]
    image = stacked(tars)
    assert comes_to_the_same(image, np.flatnonzero(needed_entries(image)))


def test_a_link_does_not_come_to_lead_to_what_gave_way_before() -> None:
    odd = [tar(entry("a"), entry("a/a"), entry("b", LINK, linkname="a"), entry("a/a", FOLDER))]
    assert kept(odd)[1] == [[]]


def test_a_symlink_that_gives_way_to_a_directory_stays() -> None:
    assert kept([tar(entry("d", SYMLINK, linkname="x")), tar(entry("d/f"))])[1] == [[], []]


def test_what_is_overwritten_twice_goes_though_a_link_to_the_first_stays() -> None:
    twice = [tar(entry("a"), entry("b", LINK, linkname="a")), tar(entry("a")), tar(entry("a"))]
    assert kept(twice)[1] == [[], ["a"], []]
