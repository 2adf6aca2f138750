"""Treemaps of stored layers and of files: rectangles in proportion to bytes. Geometry only, no markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd
import squarify

from regscope import text
from regscope.spec.instructions import normalised
from regscope.views.label_fit import fitted

HEADER = 18.0
LINE = 13.0
_PADDING = 5.0
# Below this share of its surroundings a rectangle is enlarged: a thinner one would be invisible.
_LEAST = 1e-5
_LEAST_AREA = 25.0
_TINTS = 4


class Rect(NamedTuple):
    """A rectangle, in units of the canvas."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Tile:
    """The rectangle of one layer or file, or of all smaller ones of a box.

    Attributes:
        rect: the rectangle.
        size: the bytes.
        title: the tooltip.
        lines: the lines of the label that fit; may be empty.
        tint: from 0, for the largest of its box, to 3; 4 for the smaller ones together.
        style: further classes of the style sheet.
        key: the digest of a layer; empty for several together.
    """

    rect: Rect
    size: int
    title: str
    lines: tuple[str, ...] = ()
    tint: int = 0
    style: str = ""
    key: str = ""


@dataclass(frozen=True)
class Box:
    """A group of tiles: the layers of one repository alone, shared layers, or the files of a directory."""

    rect: Rect
    name: str
    size: int
    title: str
    header: str
    is_shared: bool
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Treemap:
    """The boxes on their canvas; together they have all bytes."""

    width: float
    height: float
    size: int
    boxes: tuple[Box, ...]


def owner_sizes(layers: pd.DataFrame) -> pd.Series[int]:
    """The bytes of each box, largest first, by `is_shared` and `owner`; only layers with a known size count."""
    # A repository can have the same name as the box of shared layers; `is_shared` tells them apart.
    sized = layers[layers["size"] > 0]
    return sized.groupby(["is_shared", "owner"])["size"].sum().sort_values(ascending=False, kind="stable")


def treemap(layers: pd.DataFrame, width: float, height: float, *, most_layers: int, most_boxes: int) -> Treemap:
    """The treemap of `stored_layers`, laid out on a canvas.

    Args:
        layers: the rows of `stored_layers`.
        width: the width of the canvas.
        height: the height of the canvas.
        most_layers: the number of layers with a tile each; the others of a box share one.
        most_boxes: the number of repositories with a box each; the others share one.

    Returns:
        Boxes with areas in proportion to their bytes, and in each box tiles in proportion, under the box's name.
    """
    layers = layers[layers["size"] > 0]
    total = int(layers["size"].sum())
    if not total:
        return Treemap(width, height, 0, ())
    sizes = owner_sizes(layers)
    drawn = layers.head(most_layers)
    drawn = drawn[drawn["size"] * (width * height / total) >= _LEAST_AREA]
    keys, rest = list(sizes.index[:most_boxes]), sizes.iloc[most_boxes:]
    areas = [int(size) for size in sizes.iloc[:most_boxes]] + ([int(rest.sum())] if len(rest) else [])
    rects = lay_out(areas, Rect(0.0, 0.0, width, height))
    by_owner: dict[Any, pd.DataFrame] = dict(list(drawn.groupby(["is_shared", "owner"])))
    counts = layers.groupby(["is_shared", "owner"]).size()
    boxes = [
        box(
            rect,
            key[1],
            size,
            _tiles(by_owner.get(key)),
            int(counts[key]),
            short="shared" if key[0] else "",
            is_shared=bool(key[0]),
        )
        for key, size, rect in zip(keys, areas, rects, strict=False)
    ]
    if len(rest):
        name = text.count(len(rest), "smaller repository", "smaller repositories")
        n_layers = int(counts.sum() - counts[keys].sum())
        boxes.append(box(rects[-1], name, areas[-1], [], n_layers))
    return Treemap(width, height, total, tuple(boxes))


def lay_out(sizes: Sequence[int], rect: Rect) -> list[Rect]:
    """Rectangles that fill `rect`, in proportion to `sizes`, all above 0 and largest first."""
    total = sum(sizes)
    visible = [max(size, total * _LEAST) for size in sizes]
    areas = squarify.normalize_sizes(visible, rect.width, rect.height)
    return [Rect(r["x"], r["y"], r["dx"], r["dy"]) for r in squarify.squarify(areas, *rect)]


def box(
    rect: Rect,
    name: str,
    size: int,
    tiles: list[Tile],
    things: int,
    *,
    noun: str = "layer",
    short: str = "",
    is_shared: bool = False,
) -> Box:
    """A box with its name at the top, filled with `tiles`, and with one more tile for all of its other `things`."""
    name = text.plain(name, 200)
    title = f"{name}: {text.size(size)} in {text.count(things, noun)}"
    header = _header([f"{name} {text.size(size)}", name, *filter(None, [text.plain(short, 200)])], rect)
    top = HEADER if header else 0.0
    inner = Rect(rect.x, rect.y + top, rect.width, rect.height - top)
    left_out, rest = things - len(tiles), size - sum(tile.size for tile in tiles)
    if left_out and rest:
        label = f"{left_out:,} smaller" if tiles else text.count(left_out, noun)
        tiles = [*tiles, Tile(inner, rest, f"{label}: {text.size(rest)}", (label, text.size(rest)), _TINTS)]
    ordered = sorted(tiles, key=lambda tile: -tile.size)
    placed = zip(ordered, lay_out([tile.size for tile in ordered], inner), strict=True)
    tinted = [
        replace(tile, rect=where, lines=_label(tile.lines, where), tint=max(tile.tint, min(rank, _TINTS - 1)))
        for rank, (tile, where) in enumerate(placed)
    ]
    return Box(rect, name, size, title, header, is_shared, tuple(tinted))


def _header(names: Sequence[str], rect: Rect) -> str:
    """The first of `names` that fits at the top of a box, else the beginning of the last; empty if there is no room."""
    room = rect.width - 2 * _PADDING
    whole = [name for name in names if fitted(name, room, whole=True, bold=True)]
    header = whole[0] if whole else fitted(names[-1], room, bold=True)
    return header if rect.height >= 2 * HEADER and len(header) >= min(len(names[-1]), 4) else ""


def _tiles(drawn: pd.DataFrame | None) -> list[Tile]:
    if drawn is None:
        return []
    return [_tile(*row) for row in drawn[["digest", "size", "created_by"]].itertuples(index=False)]


def _tile(digest: str, size: int, created_by: object) -> Tile:
    line = text.plain(normalised(created_by), 120) if isinstance(created_by, str) else ""
    shown = line or text.short_digest(digest)
    title = f"{text.short_digest(digest)}: {text.size(size)}"
    said = f"{title}\n{line}" if line else title
    return Tile(Rect(0, 0, 0, 0), int(size), said, (shown, text.size(size)), key=digest)


def _label(lines: tuple[str, ...], rect: Rect) -> tuple[str, ...]:
    """The lines of a label that fit into `rect`: `name` and `size`, the size alone, or none."""
    name, size = lines
    room = rect.width - 2 * _PADDING
    if rect.height < LINE + 4 or not fitted(size, room, whole=True):
        return ()
    short = fitted(name, room)
    if rect.height >= 2 * LINE + 4 and len(short) >= min(len(name), 8):
        return (short, size)
    return (size,)
