"""Each target with some inputs, and with all that failed once."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from regscope.errors import RegscopeError
from tests.fuzz.running import surroundings
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

_REGRESSIONS = Path(__file__).with_name("regressions")
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in surroundings(str(tmp_path)).items():
        monkeypatch.setenv(name, value)


def refusal(target: Target, data: bytes) -> RegscopeError | None:
    """The error of regscope that an input is refused by; any other is raised."""
    try:
        target.read(data)
    except RegscopeError as error:
        return error
    return None


@each_target
def test_seeds_are_what_is_read_every_day(target: Target) -> None:
    refused = [refusal(target, seed) for seed in target.seeds()]
    assert None in refused, refused


@each_target
def test_whatever_is_made_of_seeds_is_read_or_refused(target: Target) -> None:
    random, seeds = Random(0), target.seeds()
    for _ in range(target.share):
        refusal(target, target.mutate(random, seeds))


@pytest.mark.parametrize("name", [target.name for target in TARGETS.values() if target.drawn])
def test_whatever_hypothesis_draws_is_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    assert target.drawn is not None

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target.drawn())
    def each(data: bytes) -> None:
        refusal(target, data)

    each()


@pytest.mark.parametrize("path", sorted(_REGRESSIONS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_failed_once_is_read_or_refused(path: Path) -> None:
    refusal(TARGETS[path.parent.name], path.read_bytes())
