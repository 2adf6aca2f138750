"""Which step made which layer: histories as builders write them."""

from __future__ import annotations

from typing import Any

import pytest

from regscope.spec.build_history import history_fault, layer_line, step_line, steps_of_layers
from regscope.spec.image_config import History

ADD = {"created_by": "/bin/sh -c #(nop) ADD file:1 in / "}
BASH = {"created_by": '/bin/sh -c #(nop)  CMD ["bash"]', "empty_layer": True}
NONE = "(unknown)"


def steps(*documents: dict[str, Any]) -> list[History]:
    return [History.model_validate(document) for document in documents]


def empty(*lines: str, **fields: str) -> list[dict[str, Any]]:
    return [{"created_by": line, "empty_layer": True, **fields} for line in lines]


def lines(history: list[History], n_layers: int) -> list[str]:
    return [layer_line(history, made_by) or NONE for made_by in steps_of_layers(history, n_layers)]


TWENTY_RUNS = empty(*(f"/bin/sh -c make {number}" for number in range(20)))

MANY = {
    "buildah without --layers, ending with a CMD": (
        [*TWENTY_RUNS, {"created_by": '/bin/sh -c #(nop) CMD ["app"]'}],
        ["21 steps in one layer"],
    ),
    "buildah without --layers, ending with a COPY": (
        [*TWENTY_RUNS, {"created_by": "/bin/sh -c #(nop) COPY file:1 in /app"}],
        ["21 steps in one layer"],
    ),
    "settings alone before a CMD that has a layer": (
        [*empty("ENV A=b", "LABEL a=b"), {"created_by": 'CMD ["app"]'}],
        ["3 steps in one layer"],
    ),
    "buildah without --layers upon a base": (
        [ADD, BASH, *empty("/bin/sh -c apt-get update", "/bin/sh -c #(nop) USER app"), {"created_by": "/bin/sh -c x"}],
        [ADD["created_by"], "4 steps in one layer"],
    ),
    "docker build --squash upon a base": (
        [ADD, BASH, *empty("COPY a /", "RUN make"), {"comment": "merge sha256:1 to sha256:2"}],
        [ADD["created_by"], "4 steps in one layer"],
    ),
    "a squashing tool that says nothing": ([*empty("ADD a /", "RUN b"), {}], ["3 steps in one layer"]),
    "a file that was copied, though the step is marked empty": (
        [ADD, *empty("COPY a b # buildkit"), {"created_by": "RUN make # buildkit"}],
        [ADD["created_by"], "2 steps in one layer"],
    ),
    "a command before there was anything to run": (
        [*empty("RUN make # buildkit"), {"created_by": "COPY a b # buildkit"}],
        ["2 steps in one layer"],
    ),
}


@pytest.mark.parametrize("name", MANY)
def test_a_layer_of_many_steps_is_said_to_be_one(name: str) -> None:
    documents, expected = MANY[name]
    history = steps(*documents)
    assert history_fault(history, len(expected)) is None
    assert lines(history, len(expected)) == expected


ONE = {
    "settings before the layers": [*empty("ENV A=b", "ARG C", "WORKDIR /"), {"created_by": "COPY a b"}],
    "a command that wrote nothing, by its comment": [
        ADD,
        *empty("RUN /bin/sh -c ls", comment="buildkit.dockerfile.v0"),
        {"created_by": "COPY a b"},
    ],
    "a command that wrote nothing, by its line": [ADD, *empty("RUN ls # buildkit"), {"created_by": "COPY a b"}],
    "a tool that names itself": [*empty("COPY a b", "RUN c"), {"created_by": "regscope flatten"}],
    "a layer that nothing was left of": [
        ADD,
        *empty("COPY a b"),
        {"created_by": "RUN make"},
        *empty("regscope slim"),
    ],
    "a CMD with a layer of its own": [ADD, {"created_by": 'CMD ["app"]'}],
    "one working directory": [ADD, {"created_by": "WORKDIR /app"}],
}


@pytest.mark.parametrize("name", ONE)
def test_a_layer_of_one_step_has_its_line(name: str) -> None:
    history = steps(*ONE[name])
    making = [step.created_by for step in history if not step.empty_layer]
    assert history_fault(history, len(making)) is None
    assert lines(history, len(making)) == making


@pytest.mark.parametrize("n_layers", [0, 1, 3, 4])
def test_a_history_that_does_not_fit_tells_nothing(n_layers: int) -> None:
    history = steps(ADD, BASH, {"created_by": "RUN make"})
    fault = history_fault(history, n_layers)
    assert fault is not None
    assert f"2 steps with a layer, and the manifest {n_layers} layers" in fault
    assert lines(history, n_layers) == [NONE] * n_layers


def test_a_history_whose_steps_are_all_marked_empty_tells_nothing_of_a_layer() -> None:
    history = steps(*TWENTY_RUNS)
    assert "0 steps with a layer, and the manifest 1 layers" in (history_fault(history, 1) or "")
    assert lines(history, 1) == [NONE]


@pytest.mark.parametrize("n_layers", [0, 2])
def test_no_history_is_no_fault(n_layers: int) -> None:
    assert history_fault([], n_layers) is None
    assert lines([], n_layers) == [NONE] * n_layers


def test_of_a_history_that_buildkit_completed_only_what_it_added_is_sure() -> None:
    # The base had two layers and no history: BuildKit puts what is missing at the end, from the third layer on.
    added = [{"created_by": f"RUN {name}", "comment": "buildkit.exporter.image.v0"} for name in ("c", "d")]
    history = steps({"created_by": "RUN c"}, {"created_by": "RUN d"}, *added)
    assert lines(history, 4) == [NONE, NONE, "RUN c", "RUN d"]
    assert "BuildKit completed a history that had 2 steps for 4 layers" in (history_fault(history, 4) or "")


def test_a_history_that_is_all_buildkits_own_is_sure() -> None:
    history = steps(*({"created_by": f"RUN {name}", "comment": "buildkit.exporter.image.v0"} for name in "ab"))
    assert history_fault(history, 2) is None
    assert lines(history, 2) == ["RUN a", "RUN b"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"created_by": "RUN make", "comment": "a note"}, "RUN make"),
        ({"comment": "store paths: ['/nix/store/1-bash']"}, "store paths: ['/nix/store/1-bash']"),
        ({"created_by": " ", "comment": "Imported from -"}, "Imported from -"),
        ({"created_by": "", "comment": "buildkit.dockerfile.v0"}, None),
        ({"comment": " "}, None),
        ({}, None),
    ],
)
def test_a_step_without_an_instruction_has_its_comment(document: dict[str, str], expected: str | None) -> None:
    assert step_line(History.model_validate(document)) == expected
