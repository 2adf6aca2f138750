"""The histogram counts every layer that has a size, once."""

from __future__ import annotations

import pandas as pd
import pytest

from regscope.analysis.sizes import layer_sizes
from regscope.tables import Snapshot
from regscope.views.histogram import bins, histogram


def sizes(*values: int | None) -> pd.Series[int]:
    return pd.Series(values, dtype="Int64")


def test_the_bins_count_every_layer_and_byte_once(large: Snapshot) -> None:
    found = layer_sizes(large)["size"]
    assert sum(b.layers for b in bins(found)) == len(found)
    assert sum(b.size for b in bins(found)) == found.sum()


def test_a_bin_has_its_lower_edge_and_not_its_upper() -> None:
    assert [(b.low, b.high, b.layers) for b in bins(sizes(1, 2, 4, 5, 9))] == [(1, 2, 1), (2, 5, 2), (5, 10, 2)]


def test_the_bins_follow_each_other_without_a_gap() -> None:
    found = bins(sizes(32, 7_000_000_000))
    assert [b.high for b in found[:-1]] == [b.low for b in found[1:]]
    assert (found[0].low, found[-1].high) == (20, 10_000_000_000)


def test_layers_without_a_size_are_said_to_be_left_out() -> None:
    assert histogram(sizes(None, 0, 100), 360).left_out == 2


def test_without_sizes_there_is_nothing_to_draw() -> None:
    assert histogram(sizes(), 360).bins == []


@pytest.mark.parametrize("values", [(5,), (10, 99), (1, 2**63 - 1), (20_000_000, 30_000_000)])
@pytest.mark.parametrize("width", [360.0, 1120.0])
def test_bars_and_labels_stay_on_the_canvas_and_apart(values: tuple[int, ...], width: float) -> None:
    chart = histogram(sizes(*values), width)
    assert len(chart.ticks) >= 2
    assert all(b.x - a.x >= 60 for a, b in zip(chart.ticks, chart.ticks[1:], strict=False))
    for panel in chart.panels:
        assert max(bar.height for bar in panel.bars) == panel.bottom - panel.top
        assert all(bar.x >= -1e-6 and bar.x + bar.width <= width + 1e-6 for bar in panel.bars)
