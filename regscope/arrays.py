"""Types of integer and boolean arrays, and a fast `unique`."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


def distinct(values: Ints) -> Ints:
    """The values, each once, sorted.

    numpy's `unique` hashes since 2.3: for millions of pairs, whose hashes collide, it takes ten times as long.
    """
    if not (values[1:] > values[:-1]).all():
        values = np.sort(values)
        values = values[np.append(True, values[1:] != values[:-1])]
    return values
