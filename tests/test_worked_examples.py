"""The examples in docstrings are true: each `>>>` is run."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import regscope

ROOT = Path(regscope.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(("regscope", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.attempted
    assert not found.failed


def test_every_function_on_arrays_has_an_example() -> None:
    module = import_module("regscope.arrays")
    tests = doctest.DocTestFinder(exclude_empty=False).find(module)
    assert [test.name for test in tests if test.name != module.__name__ and not test.examples] == []
