"""The distribution of layer sizes: bins on a logarithmic scale, and the layout of their bars."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from regscope import text

_STEPS = (1, 2, 5)
_PANEL = 110.0
_TOP = 26.0
_AXIS = 24.0
_LABEL_ROOM = 64.0


class Bin(NamedTuple):
    """Layers of at least `low` and less than `high` bytes: their number, and their total bytes."""

    low: int
    high: int
    layers: int
    size: int


class Bar(NamedTuple):
    """A bar: its position, its height, and its tooltip."""

    x: float
    width: float
    height: float
    title: str


class Panel(NamedTuple):
    """Bars on a common ground line `bottom`, and a label with the highest value."""

    heading: str
    peak: str
    top: float
    bottom: float
    bars: list[Bar]


class Tick(NamedTuple):
    """A label on the axis; `anchor` is its alignment at `x`, as in SVG."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True)
class Histogram:
    """Two panels above one axis of sizes: the number of layers, and their bytes.

    Attributes:
        bins: the bins drawn.
        left_out: the number of layers whose size is 0 or unknown.
    """

    width: float
    height: float
    bins: list[Bin]
    panels: list[Panel]
    ticks: list[Tick]
    left_out: int


def bins(sizes: pd.Series[int]) -> list[Bin]:
    """The sizes above 0 in bins of 1, 2 and 5 times the powers of ten, the empty ones between them included."""
    known = sorted(int(size) for size in sizes.dropna() if size > 0)
    if not known:
        return []
    edges = [step * 10**power for power in range(len(str(known[0])) - 1, len(str(known[-1])) + 1) for step in _STEPS]
    first, last = bisect_right(edges, known[0]) - 1, bisect_right(edges, known[-1])
    counts = [0] * len(edges)
    totals = [0] * len(edges)
    for size in known:
        place = bisect_right(edges, size) - 1
        counts[place] += 1
        totals[place] += size
    return [Bin(edges[n], edges[n + 1], counts[n], totals[n]) for n in range(first, last)]


def histogram(sizes: pd.Series[int], width: float) -> Histogram:
    """The histogram of `sizes` (bytes), laid out on a canvas of width `width`."""
    found = bins(sizes)
    left_out = len(sizes) - sum(b.layers for b in found)
    height = 2 * (_TOP + _PANEL) + _AXIS
    if not found:
        return Histogram(width, height, [], [], [], left_out)
    start, end = math.log10(found[0].low), math.log10(found[-1].high)
    scale = width / (end - start)

    def x(size: int) -> float:
        return (math.log10(size) - start) * scale

    def panel(number: int, heading: str, peak: str, values: list[int]) -> Panel:
        top = number * (_TOP + _PANEL) + _TOP
        highest = max(values)
        bars = [
            Bar(x(b.low), x(b.high) - x(b.low), value / highest * _PANEL, _described(b))
            for b, value in zip(found, values, strict=True)
            if value
        ]
        return Panel(heading, peak, top, top + _PANEL, bars)

    counts, totals = [b.layers for b in found], [b.size for b in found]
    panels = [
        panel(0, "Layers", f"tallest: {max(counts):,}", counts),
        panel(1, "Bytes", f"tallest: {text.size(max(totals))}", totals),
    ]
    return Histogram(width, height, found, panels, _ticks(found, x, width), left_out)


def _ticks(found: list[Bin], x: Callable[[int], float], width: float) -> list[Tick]:
    """Labels at the powers of ten, or at every edge if there is at most one power; as many as fit."""
    edges = [b.low for b in found] + [found[-1].high]
    decades = [edge for edge in edges if str(edge).strip("0") == "1"]
    ticks: list[Tick] = []
    for edge in decades if len(decades) > 1 else edges:
        if not ticks or x(edge) - ticks[-1].x >= _LABEL_ROOM:
            anchor = "start" if x(edge) < _LABEL_ROOM / 2 else "end" if x(edge) > width - _LABEL_ROOM / 2 else "middle"
            ticks.append(Tick(x(edge), round_size(edge), anchor))
    return ticks


def _described(b: Bin) -> str:
    return (
        f"{text.count(b.layers, 'layer')} of {round_size(b.low)} to {round_size(b.high)}, together {text.size(b.size)}"
    )


def round_size(number: int) -> str:
    """A round size: `20 MB`, not `20.0 MB`."""
    return text.size(number).replace(".0 ", " ")
