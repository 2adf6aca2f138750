"""`history_cost` against figures worked out by hand, and against plain sets."""

from __future__ import annotations

from hypothesis import given, settings

from regscope.analysis.history_cost import UNKNOWN, history_cost
from tests.lab.drawn_snapshots import Drawn, registries
from tests.lab.snapshots import Registry, empty


@settings(max_examples=25, deadline=None)
@given(registries())
def test_stored_counts_layers_once_and_referenced_once_for_each_image(drawn: Drawn) -> None:
    # Two lines in all: the layers with an even number come from one, the others from another.
    snap = drawn.snapshot()
    lines = {layer: f"RUN {'even' if int(layer[-1]) % 2 == 0 else 'odd'}" for layer in drawn.sizes}
    snap.layers["created_by"] = snap.layers["created_by"].astype("str").map(lines).astype("category")
    images = {m for _, m in drawn.placed()} - set(drawn.children) - set(drawn.subjects)
    expected = {}
    for line in set(lines.values()):
        used = {(image, layer) for image in images for layer in drawn.layers[image] if lines[layer] == line}
        layers = {layer for _, layer in used}
        if used:
            expected[line] = (
                len({image for image, _ in used}),
                len(layers),
                sum(drawn.sizes[layer] for layer in layers),
                sum(drawn.sizes[layer] for _, layer in used),
            )
    table = history_cost(snap).set_index("instruction")
    figures = table[["images", "layers", "stored", "referenced"]]
    assert {line: tuple(row) for line, row in zip(figures.index, figures.to_numpy().tolist(), strict=True)} == expected
    assert table["stored"].is_monotonic_decreasing


def test_lines_that_differ_from_build_to_build_are_one_instruction() -> None:
    made = Registry(one=10, two=20)
    made.image("a", [f"one=/bin/sh -c #(nop) COPY file:{'1' * 64} in /app "], "r:1")
    made.image("b", [f"two=/bin/sh -c #(nop) COPY file:{'2' * 64} in /app "], "r:2")
    made.image("c", [f"two=/bin/sh -c #(nop) COPY file:{'2' * 64} in /app "], "r:3")
    row = history_cost(made.snapshot()).iloc[0]
    assert row.tolist() == ["COPY file:… in /app", "COPY", 3, 2, 30, 50]


def test_a_layer_that_two_instructions_made_counts_for_both() -> None:
    made = Registry(base=10)
    made.image("a", ["base=RUN one"], "r:1")
    made.image("b", ["base=RUN two"], "r:2")
    assert history_cost(made.snapshot())[["stored", "referenced"]].to_numpy().tolist() == [[10, 10], [10, 10]]


def test_two_lines_of_one_instruction_on_one_layer_count_once() -> None:
    made = Registry(base=10)
    made.image("a", ["base=RUN make", "base=/bin/sh -c make"], "r:1")
    assert history_cost(made.snapshot()).iloc[0].tolist() == ["RUN make", "RUN", 1, 1, 10, 10]


def test_layers_without_history_are_named_so() -> None:
    made = Registry(none=5, blank=6)
    made.image("image", ["none", "blank= "], "r:1")
    assert history_cost(made.snapshot()).iloc[0].tolist() == [UNKNOWN, "other", 1, 2, 11, 11]


def test_a_layer_of_many_steps_is_an_instruction_of_its_own() -> None:
    made = Registry(many=7, copied=2)
    made.image("image", ["many=21 steps in one layer", "copied=COPY a b"], "r:1")
    made.image("other", ["many=21 steps in one layer"], "r:2")
    assert history_cost(made.snapshot()).iloc[0].tolist() == ["21 steps in one layer", "other", 2, 1, 7, 14]


def test_a_registry_without_any_history_has_one_row() -> None:
    made = Registry(a=5, b=6)
    made.image("image", ["a", "b"], "r:1")
    assert history_cost(made.snapshot()).iloc[0].tolist() == [UNKNOWN, "other", 1, 2, 11, 11]


def test_unknown_sizes_and_layers_that_live_elsewhere_cost_nothing() -> None:
    made = Registry(unknown=None, windows=1000, own=5)
    made.foreign.add("windows")
    made.image("image", ["windows=Apply image 10.0", "unknown=RUN magic", "own=RUN make"], "r:1", chained=0)
    table = history_cost(made.snapshot()).set_index("instruction")
    assert table["stored"].to_dict() == {"RUN make": 5, "Apply image 10.0": 0, "RUN magic": 0}
    assert table["referenced"].sum() == 5
    assert table["layers"].tolist() == [1, 1, 1]


def test_a_size_that_one_image_does_not_know_is_taken_from_another() -> None:
    made = Registry(shared=None)
    made.image("schema 1", ["shared=RUN make"], "r:1", kind="schema1", chained=0)
    made.sizes["shared"] = 50
    made.image("image", ["shared=RUN make"], "r:2")
    assert history_cost(made.snapshot())[["stored", "referenced"]].to_numpy().tolist() == [[50, 100]]


def test_artifacts_are_not_counted() -> None:
    made = Registry()
    made.image("sbom", ["document=RUN syft"], "r:sbom", kind="artifact")
    assert history_cost(made.snapshot()).empty


def test_the_keywords_are_the_same_whatever_was_scanned() -> None:
    made = Registry()
    made.image("image", ["a=bazel build ...", "b=WORKDIR /app", "c=RUN make"], "r:1")
    table = history_cost(made.snapshot())
    assert set(table["keyword"]) == {"other", "WORKDIR", "RUN"}
    assert table["keyword"].dtype == history_cost(empty())["keyword"].dtype
