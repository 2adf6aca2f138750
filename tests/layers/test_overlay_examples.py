"""The examples of `Changes` and of what becomes of entries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from regscope.layers.overlay import Stack
from regscope.layers.overlay_fates import Fates, _again, _go_with_directories, _hide


def stack(
    parent: Sequence[int], layer: Sequence[int], node: Sequence[int], kinds: str, link: Sequence[int] | None = None
) -> Stack:
    """`kinds`: one letter an entry: d for a directory, f for a file, w for a whiteout, o for an opaque mark."""
    is_kind = {kind: np.array([each == kind for each in kinds], dtype=np.bool_) for kind in "dfwo"}
    return Stack(
        parent=np.array(parent),
        layer=np.array(layer),
        node=np.array(node),
        is_directory=is_kind["d"],
        deletes=is_kind["w"],
        clears=is_kind["o"],
        ignored=np.zeros(len(kinds), dtype=np.bool_),
        link=np.full(len(kinds), -1) if link is None else np.array(link),
    )


@pytest.fixture
def five() -> Stack:
    """The five entries of `Changes`."""
    return stack([-1, 0, 1, 1], [0, 0, 0, 1, 1], [1, 2, 3, 1, 2], "dffdw", [-1, -1, 2, -1, -1])


def test_the_columns_of_five_entries(five: Stack) -> None:
    assert five.is_entry.tolist() == [True, True, True, True, False]
    assert five.time.tolist() == [1, 3, 5, 7, 9]
    assert five.folder.tolist() == [0, 1, 1, 0, 1]


def test_the_fates_of_five_entries(five: Stack) -> None:
    assert five.hidden_by.tolist() == [3, 4, -1, -1, -1]
    assert five.overwritten.tolist() == [True, False, False, False, False]
    assert five.hidden_at.tolist() == [7, 9, 11, 11, 11]
    assert _again(five).tolist() == [3, -1, -1, -1, -1]
    assert five.visible.tolist() == [False, False, True, True, False]
    assert five.inode.tolist() == [0, 1, 1, 3, 4]


def test_only_what_comes_sooner_hides_an_entry() -> None:
    never = 13
    found = Fates(np.array([-1, 4, -1]), np.zeros(3, dtype=np.bool_), np.array([never, 9, never]))
    _hide(found, np.arange(3), np.array([11, 7, never]), np.array([5, 3, -1]), overwritten=False)
    assert found.hidden_by.tolist() == [5, 3, -1]
    assert found.hidden_at.tolist() == [11, 7, never]


def test_what_is_deleted_with_its_directory() -> None:
    # The nodes are the root, d, d/x and d/x/y.
    changes = stack([-1, 0, 1, 2], [0, 0, 1, 2, 3], [1, 3, 2, 1, 1], "dfwof")
    found = Fates(np.full(5, -1), np.zeros(5, dtype=np.bool_), np.full(5, changes.never))
    _go_with_directories(changes, np.array([2]), np.array([2]), found)
    assert found.hidden_by.tolist() == [-1, 2, -1, -1, -1]
    assert found.hidden_at[1] == 5


def test_a_file_gives_way_to_a_directory() -> None:
    # The nodes are the root, a, a/b, a/b/c, a/b/d, e and e/f.
    changes = stack([-1, 0, 1, 2, 2, 0, 5], [0, 1, 1, 1], [1, 3, 4, 6], "ffff")
    assert changes.hidden_by.tolist() == [1, -1, -1, -1]
    assert changes.overwritten.tolist() == [True, False, False, False]
