"""The examples in docstrings that are told in words and tables."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

import regscope as rs
from regscope.analysis.reference_graph import ReferenceGraph
from regscope.remediation.platform_tags import platform_tags_among
from regscope.remediation.steps import deletion_order
from tests.lab.snapshots import NOW, Registry, digest
from tests.remediation.test_planning import gone


def test_the_order_of_five_manifests() -> None:
    made = Registry()
    a, b = made.image("a", ["a"]), made.image("b", ["b"])
    for part in (a, b):
        made.place("app", part)
    made.index("1.0", [a, b], "app:1.0")
    made.index("1.1", [b], "app:1.1")
    made.image("2.0", ["c"], "app:2.0")
    graph = ReferenceGraph(made.snapshot())
    digests = graph.manifests[graph.node_manifest].tolist()
    node = {name: digests.index(digest(name)) for name in ("a", "b", "1.0", "1.1", "2.0")}
    everything = np.ones(graph.n_nodes, dtype=np.bool_)
    order = deletion_order(graph, everything, np.array([node["2.0"], node["1.0"]]))
    assert order.tolist() == [node[name] for name in ("2.0", "1.0", "a", "1.1", "b")]


def test_tags_on_parts_of_an_index() -> None:
    made = Registry()
    a, b, c = (made.image(name, [name]) for name in "abc")
    index = made.index("index", [a, b], "app:1.0")
    for manifest, tag in ((a, "1.0-amd64"), (b, "1.0-arm64"), (index, "latest"), (c, "other")):
        made.tag(manifest, f"app:{tag}")
    graph = ReferenceGraph(made.snapshot())
    found = platform_tags_among(graph, np.arange(5))
    assert found.row.tolist() == [1, 2]
    assert set(graph.manifests[graph.node_manifest[found.whole]]) == {index}
    assert found.name.tolist() == ["1.0", "1.0"]


def test_the_two_newest_of_five_images_and_all_as_new_as_they() -> None:
    made = Registry()
    built: dict[str, datetime | None] = {"3": NOW - timedelta(30), "0": None, "old": NOW - timedelta(300)}
    built |= dict.fromkeys(("2", "1"), NOW - timedelta(90))
    for tag, created in built.items():
        made.image(tag, [tag], f"app:{tag}", created=created)
    made.tag(digest("3"), "app:latest")
    plan = rs.plan(made.snapshot(), rs.Retention(keep_last=2))
    assert gone(plan) == ["app:old"]
    assert plan.table.loc[plan.table["tag"] == "old", "rule"].item() == (
        "keep_last=2: number 4 of its repository by age"
    )
    assert plan.table.loc[plan.table["tag"] == "0", "reason"].item() == "keep_last=2: its age is unknown"
