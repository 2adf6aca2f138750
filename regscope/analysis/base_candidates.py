"""The possible bases of each image, by its layers and by its history."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from regscope.analysis.columns import numbered
from regscope.arrays import Bools, Ints, begins_run, looked_up, running_totals
from regscope.spec.instructions import OTHER, keyword, normalised
from regscope.tables import Snapshot

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class _Rows:
    """Rows of a table, grouped by image and in order; `first` and `count` tell each image's range of rows.

    Image 0 has the rows 3 and 0 of a table, and image 2 the rows 4, 1 and 2; image 1 has none:

    >>> rows = _Rows.of(np.array([0, 2, 2, 0, 2]), np.array([1, 1, 2, 0, 0]), 3)
    >>> rows.image, rows.row
    (array([0, 0, 2, 2, 2]), array([3, 0, 4, 1, 2]))
    >>> rows.first, rows.count, rows.nth
    (array([0, 2, 2]), array([2, 0, 3]), array([1, 2, 1, 2, 3]))
    >>> sizes = np.array([10, 20, 30, 40, 50])  # of the rows by image and in order
    >>> rows.sums(sizes), rows.last(sizes)
    (array([ 10,  30,  30,  70, 120]), array([20,  0, 50]))
    """

    image: Ints
    row: Ints
    first: Ints
    count: Ints

    @classmethod
    def of(cls, image: Ints, order: Ints, n_images: int) -> _Rows:
        """The rows whose image is known; `row` is their position in the table."""
        row = np.lexsort([order, image])
        row = row[np.searchsorted(image[row], 0) :]
        count = np.bincount(image[row], minlength=n_images)
        return cls(image[row], row, np.cumsum(count) - count, count)

    @cached_property
    def nth(self) -> Ints:
        """The number of each row within its image, from 1."""
        return np.arange(len(self.row)) - self.first[self.image] + 1

    def sums(self, values: Ints) -> Ints:
        """For each row, the sum of the values of all rows of its image up to it."""
        total = running_totals(values)
        sums: Ints = total[1:] - total[self.first[self.image]]
        return sums

    def prefixes(self, values: Ints) -> Ints:
        """A hash for each row, equal for rows that have equal values up to them in their images."""
        placed = pd.util.hash_array(values.view(np.uint64)) + self.nth.view(np.uint64)
        return self.sums(pd.util.hash_array(placed).view(np.int64))

    def last(self, values: Ints) -> Ints:
        """The value of each image's last row; 0 for an image without rows."""
        return looked_up(values, np.where(self.count > 0, self.first + self.count - 1, -1), absent=0)


class Candidates:
    """The images of a snapshot whose ChainIDs are all known, and the images that each of them can be built on."""

    def __init__(self, snap: Snapshot) -> None:
        """Number the images and read their layers and history; pairs are built by `nearest`."""
        images = snap.manifests[snap.manifests["kind"] == "image"]
        digests = pd.Index(images["digest"].astype("str"))
        images = images.iloc[digests.argsort()]
        self.digests = pd.Index(images["digest"].astype("str"))
        of_layers, of_history = numbered(self.digests, snap.layers["digest"], snap.history["digest"])
        incomplete = np.unique(of_layers[snap.layers["chain_id"].isna().to_numpy()])
        of_layers = np.where(np.isin(of_layers, incomplete), -1, of_layers)
        self._layers = _Rows.of(of_layers, snap.layers["position"].to_numpy(), len(self.digests))
        self._history = _Rows.of(of_history, snap.history["step"].to_numpy(), len(self.digests))
        self._read_layers(snap.layers)
        self._read_history(snap.history)
        created = images["created"]
        self._created = np.where(created.isna(), _NEVER, created.astype("int64"))
        width = len(images["os"].cat.categories) + 1
        self._platform = _codes(images["architecture"]) * width + _codes(images["os"])

    def _read_layers(self, table: pd.DataFrame) -> None:
        rows = self._layers
        self._chain = _codes(table["chain_id"])[rows.row]
        blob = _codes(table["blob_digest"])[rows.row]
        size = table["size"].fillna(0).to_numpy(np.int64)[rows.row]
        is_repeated = pd.Series(rows.image * (len(table) + 1) + blob).duplicated().to_numpy()
        self._size = rows.sums(np.where(is_repeated, 0, size))
        self._blobs = rows.prefixes(blob)
        self._top = rows.last(self._chain)
        self._all_blobs = rows.last(self._blobs)

    def _read_history(self, table: pd.DataFrame) -> None:
        rows, lines = self._history, table["created_by"].cat.categories
        line = _codes(table["created_by"])[rows.row]
        empty = table["empty_layer"].to_numpy(np.int64)[rows.row]
        self._steps = rows.prefixes(line * 2 + empty)
        self._all_steps = rows.last(self._steps)
        made = rows.sums(1 - empty)
        self._made = rows.last(made)
        # Counted from the top, because the steps of a base without a history are missing at the bottom.
        self._below = self._layers.count[rows.image] - self._made[rows.image] + made
        has_lines = np.bincount(rows.image[line >= 0], minlength=len(self.digests)) > 0
        self._has_lines = has_lines
        drops_steps = has_lines & (self._made == rows.count)
        top = rows.last(line)
        by_tools = [code for code in np.unique(top[drops_steps]) if _is_of_a_tool(lines, code)]
        # Tools other than Dockerfile builders may omit the steps of a base that made no layer.
        self._tells_all = has_lines & ~(drops_steps & np.isin(top, by_tools))

    @property
    def tops(self) -> pd.DataFrame:
        """One row for each image: `digest`, `chain_id` (int64, of its topmost layer), `alike` (int64).

        Images with equal layers, steps and platform have the same number `alike`.
        """
        image = np.flatnonzero(self._layers.count)
        table = pd.DataFrame({"digest": self.digests[image], "chain_id": self._top[image]})
        same = pd.DataFrame({"top": self._top, "steps": self._all_steps, "platform": self._platform}).iloc[image]
        return table.assign(alike=same.groupby(["top", "steps", "platform"], sort=False).ngroup().to_numpy())

    def nearest(self) -> pd.DataFrame:
        """The nearest base of each image that has a base.

        Returns:
            `digest`, `base_digest` (str), `shared_layers`, `own_layers`, `shared_size`, `own_size` (int64).
        """
        pairs = pd.concat([self._by_history(), self._by_layers()], ignore_index=True)
        image, base, depth = (pairs[name].to_numpy(np.int64) for name in ("image", "base", "depth"))
        told = pairs["told"].to_numpy(bool)
        row = self._layers.first[image] + depth - 1
        steps = self._history.count[base]
        order = np.lexsort(
            [
                base,
                self._created[base],
                steps,
                self._blobs[row] != self._all_blobs[base],
                np.where(told, -steps, 0),
                ~told,
                self._platform[image] != self._platform[base],
                -depth,
                image,
            ]
        )
        first = order[begins_run(image[order])]
        image, base, depth, row = image[first], base[first], depth[first], row[first]
        top = self._layers.first[image] + self._layers.count[image] - 1
        return pd.DataFrame(
            {
                "digest": self.digests[image],
                "base_digest": self.digests[base],
                "shared_layers": depth,
                "own_layers": self._layers.count[image] - depth,
                "shared_size": self._size[row],
                "own_size": self._size[top] - self._size[row],
            }
        )

    def _by_history(self) -> pd.DataFrame:
        """Pairs of image and base: the base's layers and steps are the image's first, and the image has more steps."""
        rows, layers = self._history, self._layers
        is_within = (self._below >= 1) & (rows.nth < rows.count[rows.image]) & self._has_lines[rows.image]
        is_within &= layers.count[rows.image] > 0
        row = np.flatnonzero(is_within)
        image, depth = rows.image[row], self._below[row]
        states = pd.DataFrame(
            {"image": image, "depth": depth, "chain": self._chain[layers.first[image] + depth - 1],
             "steps": self._steps[row]}
        )  # fmt: skip
        kind = {"steps": self._all_steps, "blobs": self._all_blobs}
        bases = self._bases(self._has_lines, kind).rename(columns={"top": "chain"})
        pairs: pd.DataFrame = states.merge(bases, on=["chain", "steps"])[["image", "base", "depth"]]
        return pairs.assign(told=True)

    def _by_layers(self) -> pd.DataFrame:
        """Pairs of image and base: the base's layers are the image's lowest, and one of both has no full history."""
        silent = self._bases(~self._has_lines, {"blobs": self._all_blobs})
        every = self._bases(np.ones(len(self.digests), dtype=bool), {"blobs": self._all_blobs})
        rows = pd.DataFrame({"image": self._layers.image, "depth": self._layers.nth, "top": self._chain})
        tells_all = self._tells_all[self._layers.image]
        pairs = pd.concat([rows[tells_all].merge(silent, on="top"), rows[~tells_all].merge(every, on="top")])
        image, base = pairs["image"].to_numpy(np.int64), pairs["base"].to_numpy(np.int64)
        n_layers, steps = self._layers.count[image], self._history.count
        has_more = (steps[base] < steps[image]) & ((steps[base] > 0) | (self._made[image] < n_layers))
        is_below = (pairs["depth"].to_numpy() < n_layers) | has_more
        found: pd.DataFrame = pairs.loc[is_below, ["image", "base", "depth"]]
        return found.assign(told=False)

    def _bases(self, which: Bools, kind: dict[str, Ints]) -> pd.DataFrame:
        """`base`, `top`, and the columns of `kind`; of equal bases, the one with the fewest steps, then the oldest."""
        bases = np.flatnonzero(which & (self._layers.count > 0))
        bases = bases[np.lexsort([bases, self._created[bases], self._history.count[bases]])]
        columns: dict[str, npt.NDArray[Any]] = {"top": self._top, "platform": self._platform, **kind}
        table = pd.DataFrame({"base": bases, **{name: values[bases] for name, values in columns.items()}})
        return table.drop_duplicates(list(columns))


def _codes(column: pd.Series[Any]) -> Ints:
    codes: Ints = column.cat.codes.to_numpy().astype(np.int64)
    return codes


def _is_of_a_tool(lines: pd.Index[str], code: int) -> bool:
    return code < 0 or keyword(normalised(lines[code])) == OTHER
