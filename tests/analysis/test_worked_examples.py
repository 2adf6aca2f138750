"""The examples in docstrings that are told in words and tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from regscope.analysis.freed import freed_blobs
from regscope.analysis.near_twins import near_twins
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.analysis.sharing import _measured
from regscope.analysis.waste import wasted_files
from tests.lab import layered
from tests.lab.corners import LINK, entry, tar
from tests.lab.file_snapshots import FilesRegistry, file
from tests.lab.snapshots import Registry, digest


def numbers(graph: ReferenceGraph, *names: str) -> list[int]:
    return [graph.manifests.get_loc(digest(name)) for name in names]


@pytest.fixture
def graph() -> ReferenceGraph:
    """The images A, B and C of `regscope.analysis.sharing`."""
    made = Registry(x=100, y=20, z=3)
    for name, layers in {"A": "xy", "B": "xz", "C": "z"}.items():
        made.image(name, list(layers), f"r:{name}")
    return ReferenceGraph(made.snapshot())


def test_the_sizes_of_two_things_that_share_a_layer(graph: ReferenceGraph) -> None:
    found = _measured(graph, np.array([0, 0, 1]), np.array(numbers(graph, "A", "B", "C")), 2)
    assert found.to_dict("list") == {
        "total": [257, 20],
        "unique": [157, 20],
        "shared": [3, 3],
        "exclusive": [154, 17],
        "dedup_ratio": [223 / 123, 1],
    }


def test_what_two_of_three_images_free(graph: ReferenceGraph) -> None:
    gone = np.isin(graph.node_manifest, numbers(graph, "A", "B"))
    names = ["A", "config of A", "B", "config of B", "x", "y"]
    assert set(graph.blobs[freed_blobs(graph, gone)]) == {digest(name) for name in names}


def test_five_layers_of_nearly_the_same_files() -> None:
    files = {"a": file("a", "a", 60), "b": file("b", "b", 30), "c": file("c", "c", 10)}
    made = FilesRegistry()
    layers = ["abc", "ab", "ac", "bc", "b"]
    names = [made.layer(name, *(files[each] for each in name)) for name in layers]
    stands_for, similarity = near_twins(made.snapshot(), pd.Index(names, dtype="str"), 0.6)
    assert stands_for.tolist() == [0, 0, 0, 3, 3]
    assert similarity.tolist() == [1, 0.9, 0.7, 1, 0.75]


def test_five_entries_of_which_none_is_left() -> None:
    contents = {name: entry(name, content=name.encode()) for name in "abcd"}
    lower = tar(*contents.values(), entry("e", LINK, linkname="d"))
    marks = [entry(f".wh.{name}", content=b"") for name in "cde"]
    upper = tar(entry("a", content=b"other"), contents["b"], entry("f", content=b"c"), *marks)
    found = wasted_files(layered.tables({"image:1": [lower, upper]}), "image:1")
    assert dict(zip(found["path"], found["cause"], strict=True)) == {
        "a": "overwritten",
        "b": "attributes only",
        "c": "same content elsewhere",
        "d": "deleted",
    }
