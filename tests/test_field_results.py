"""The table of what was found at servers of the field: runs of some servers leave what is known of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.field.results import Results


def reported(results: Results, server: str, test: str, why: str = "", when: str = "call") -> None:
    outcome = "failed" if why else "passed"
    report = pytest.TestReport(
        "tests/field/test_x.py::test_y", ("", 0, ""), {}, outcome, why or None, when,  # type: ignore[arg-type]
        user_properties=[("server", server), ("test", test)],
    )  # fmt: skip
    results.pytest_runtest_logreport(report)


def rows(file: Path) -> dict[str, list[str]]:
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in file.read_text().splitlines() if "| " in line]
    return {row[0]: row[1:] for row in found}


def test_a_run_of_one_server_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    first = Results(file)
    reported(first, "Gitea 1.26.0", "copies – it is whole (app:1.0)", "AssertionError: assert 1 == 2\nmore")
    reported(first, "Gitea 1.26.0", "deletion – it goes")
    first.pytest_sessionfinish()
    second = Results(file)
    reported(second, "crane registry", "copies – it is whole (app:1.0)")
    reported(second, "crane registry", "undoing – it comes back", "NotStarted: 127.0.0.1:4711 did not answer", "setup")
    second.pytest_sessionfinish()
    table = rows(file)
    assert table[""] == ["Gitea 1.26.0", "crane registry"]
    assert table["passed, of"] == ["1 of 2", "1 of 2"]
    assert table["copies – it is whole (app:1.0)"] == ["**failed**", "passed"]
    assert table["deletion – it goes"] == ["passed", ""]
    assert table["undoing – it comes back"] == ["", "not run"]
    told = file.read_text().partition("## What failed")[2].split("\n")
    assert "- Gitea 1.26.0: copies – it is whole (app:1.0): AssertionError: assert 1 == 2" in told
    assert "- crane registry: undoing – it comes back: NotStarted: HOST did not answer" in told


def test_what_has_been_mended_is_no_longer_told(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    for why in ("AssertionError", ""):
        results = Results(file)
        reported(results, "Pulp 3.123", "deletion – it goes", why)
        results.pytest_sessionfinish()
    assert rows(file)["deletion – it goes"] == ["passed"]
    assert file.read_text().rstrip().endswith("Nothing.")
