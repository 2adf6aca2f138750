"""The layers of an image, and who else has one."""

from __future__ import annotations

import re

import pandas as pd

import regscope as rs
from regscope.tables import Snapshot
from regscope.views.explorer.holders import Holders
from regscope.views.explorer.snapshot_views import SnapshotViews
from tests.views.explorer.code import gives


def test_each_layer_stands_with_its_build_line_lowest_first(small: Snapshot) -> None:
    bars = rs.layer_bars(small, "team/web:1")
    assert bars.table["created_by"].tolist() == ["ADD rootfs.tar /", "COPY web /srv", "RUN npm ci"]
    assert bars.html.index("ADD rootfs.tar /") < bars.html.index("COPY web /srv") < bars.html.index("RUN npm ci")
    assert gives(bars.code, small, bars.table)


def test_a_bar_is_as_long_as_its_layer_and_grey_where_another_image_has_it(small: Snapshot) -> None:
    html = rs.layer_bars(small, "team/web:1").html
    own = [float(width) for width in re.findall(r'class="own" width="([\d.]+)"', html)]
    shared = [float(width) for width in re.findall(r'class="shared" x="[\d.]+" width="([\d.]+)"', html)]
    assert shared == [100.0, 0.0, 0.0]
    assert own == [0.0, 0.0, round(30_000_000 / 51_000_000 * 100, 1)]


def test_a_layer_of_unknown_size_has_no_bar_and_a_dash(small: Snapshot) -> None:
    bars = rs.layer_bars(small, "team/web:undated")
    assert bars.table["size"].isna().tolist() == [True, False]
    assert "–" in bars.html


def test_without_an_image_it_says_what_to_do(small: Snapshot) -> None:
    bars = rs.layer_bars(small)
    assert bars.table.empty
    assert "Pick an image first." in bars.html


def test_picking_a_layer_gives_its_digest_and_another_image_lets_it_go(small: Snapshot) -> None:
    bars = rs.layer_bars(small, "team/web:1")
    bars.do("pick", "2")
    assert bars.layer == bars.table["blob_digest"].iloc[2]
    assert bars.selection["created_by"].tolist() == ["RUN npm ci"]
    bars.image = "debian:12.0"
    assert bars.layer == ""


def test_who_has_a_layer_are_all_tags_with_it(small: Snapshot) -> None:
    holders = Holders(SnapshotViews(small))
    assert holders.table.empty
    holders.layer = rs.layer_bars(small, "team/web:1").table["blob_digest"].iloc[0]
    names = holders.table["repository"] + ":" + holders.table["tag"]
    assert set(names) == {"debian:12.1", "debian:latest", "team/web:1"}
    assert gives(holders.code, small, holders.table)
    pd.testing.assert_index_equal(holders.table.columns, rs.image_sizes(small).columns)
