"""The fuzzer itself finds what fails, takes too long, takes too much, or ends its process, and counts it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from regscope.errors import InvalidInput
from tests.fuzz.findings import Findings
from tests.fuzz.running import CPU, MEMORY, Outcome, run
from tests.fuzz.target import Target, each_of, these

_SEED = b"--- a seed ---"


def _marked(random: Random, seeds: Sequence[bytes]) -> bytes:
    """A seed, one in a hundred times with the mark that the targets here fail on."""
    return random.choice(seeds) + (b"!" if random.random() < 0.01 else b"")


def _accept(data: bytes) -> None:
    pass


def _refuse(data: bytes) -> None:
    raise InvalidInput("no")


def _fail(data: bytes) -> None:
    if b"!" in data:
        raise LookupError(data)


def _spin(data: bytes) -> None:
    while b"!" in data:
        pass


def _devour(data: bytes) -> None:
    if b"!" in data:
        bytearray(MEMORY + 2**26)


def _crash(data: bytes) -> None:
    if b"!" in data:
        os.kill(os.getpid(), signal.SIGSEGV)


def outcome_of(read: Callable[[bytes], object], folder: Path, inputs: int = 1000) -> tuple[Outcome, list[str]]:
    findings = Findings(folder / "findings")
    return run(Target("made", read, these(_SEED), _marked), inputs, 0, 60, findings), findings.names


def test_what_is_refused_by_our_own_errors_is_no_bug(tmp_path: Path) -> None:
    for read, ours in ((_accept, 0), (_refuse, 1000), (each_of(_refuse, _accept), 1000)):
        outcome, names = outcome_of(read, tmp_path)
        assert (outcome.inputs, outcome.ours, outcome.bugs, names) == (1000, ours, 0, [])


def test_another_exception_is_a_bug_and_its_input_is_made_small(tmp_path: Path) -> None:
    outcome, names = outcome_of(each_of(_refuse, _fail), tmp_path)
    assert outcome.inputs == 1000
    assert 0 < outcome.bugs < 100
    assert outcome.ours == 1000 - outcome.bugs
    (name,) = names
    assert name.startswith("made--LookupError--")
    assert (tmp_path / "findings" / f"{name}.input").read_bytes() == b"!"
    assert "LookupError" in (tmp_path / "findings" / f"{name}.txt").read_text()


@pytest.mark.parametrize(("read", "why"), [(_spin, "too-long"), (_crash, "SIGSEGV")])
def test_an_input_that_ends_its_process_is_found(
    read: Callable[[bytes], object], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.running.MOST_DEATHS", 1)
    outcome, names = outcome_of(read, tmp_path)
    assert (outcome.bugs, outcome.deaths) == (1, 1)
    assert names == [f"made--{why}--0"]
    assert (tmp_path / "findings" / f"{names[0]}.input").read_bytes() == _SEED + b"!"


def test_after_an_input_that_ended_its_process_others_follow(tmp_path: Path) -> None:
    outcome, names = outcome_of(_crash, tmp_path, inputs=300)
    assert outcome.inputs == 300 or outcome.deaths == 50
    assert outcome.bugs == outcome.deaths == len(names) > 1


def test_memory_beyond_the_bound_is_a_bug(tmp_path: Path) -> None:
    outcome, names = outcome_of(_devour, tmp_path)
    assert outcome.bugs
    assert [name.split("--")[:2] for name in names] == [["made", "MemoryError"]]


def test_a_run_ends_when_its_time_is_over(tmp_path: Path) -> None:
    outcome = run(Target("made", _accept, these(_SEED), _marked), 10**12, 0, 0.5, Findings(tmp_path))
    assert 0 < outcome.inputs < 10**12


def test_the_bounds_are_those_that_are_promised() -> None:
    assert (CPU, MEMORY) == (2.0, 500 * 2**20)
