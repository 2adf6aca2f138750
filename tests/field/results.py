"""RESULTS.md: what passed and what failed, by test and server, and why it failed.

A run of some of the servers rewrites their columns and leaves the others as they were.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.field.kinds import KINDS

NOT_ASKED, PASSED, FAILED, NOT_RUN = "", "passed", "**failed**", "not run"
_TITLE = "# What was found at servers of the field"
_ABOUT = """\
Written by `.ci/field`, and not by hand. Each line is a test in this folder; where nothing stands, the test is not about
that server, since it takes or deletes nothing. What failed is told below, with the first line of the reason."""
_REASONS = "## What failed"
_ASKED_ON = "asked on"
_REASON = re.compile(r"- (?P<server>.+?): (?P<test>.+?): (?P<why>.*)")
_OTHERWISE_EACH_TIME = {
    r"127\.0\.0\.1:\d+": "HOST",
    r"(team/)?app-[0-9a-f]{8}": "REPOSITORY",
    r"uploads/[\w-]{16,}": "uploads/ID",
    r"sha256:[0-9a-f]{64}": "DIGEST",
    r"'sha[0-9a-f2:]*\.\.\.[0-9a-f]+'": "DIGEST",
}


@dataclass
class Results:
    """A pytest plugin that gathers what comes out, and writes it at the end."""

    file: Path
    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test, or that its server did not start."""
        about = dict(report.user_properties)
        if "server" not in about or (report.when != "call" and report.passed):
            return
        key = str(about["test"]), str(about["server"])
        if report.passed:
            self.outcomes.setdefault(key, PASSED)
        else:
            self.outcomes[key] = NOT_RUN if report.when == "setup" else FAILED
            self.reasons[key] = _first_line(report)

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        if not self.outcomes:
            return
        today = datetime.now(UTC).date().isoformat()
        asked = {server for _, server in self.outcomes}
        dates, outcomes, reasons = self._earlier()
        kept = {key: value for key, value in outcomes.items() if key[1] not in asked}
        self.outcomes = {**kept, **self.outcomes}
        self.reasons = {**{key: why for key, why in reasons.items() if key in kept}, **self.reasons}
        dates |= dict.fromkeys(asked, today)
        servers = [kind.name for kind in KINDS.values() if kind.name in dates]
        tests = sorted({test for test, _ in self.outcomes})
        self.file.write_text(self._text(servers, tests, dates))

    def _text(self, servers: list[str], tests: list[str], dates: dict[str, str]) -> str:
        of = {server: [value for (_, at), value in self.outcomes.items() if at == server] for server in servers}
        table = [
            ["", *servers],
            [_ASKED_ON, *(dates[server] for server in servers)],
            ["passed, of", *(f"{of[server].count(PASSED)} of {len(of[server])}" for server in servers)],
            *([test, *(self.outcomes.get((test, server), NOT_ASKED) for server in servers)] for test in tests),
        ]
        lines = ["|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|" for row in table]
        lines.insert(1, "|" + "---|" * (len(servers) + 1))
        told = [f"- {server}: {test}: {why}" for (test, server), why in sorted(self.reasons.items(), key=_by_server)]
        return "\n".join([_TITLE, "", _ABOUT, "", *lines, "", _REASONS, "", *(told or ["Nothing."]), ""])

    def _earlier(self) -> tuple[dict[str, str], dict[tuple[str, str], str], dict[tuple[str, str], str]]:
        """When each server was asked, what came out and why, as the file says it."""
        if not self.file.exists():
            return {}, {}, {}
        lines = self.file.read_text().splitlines()
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
        if not rows:
            return {}, {}, {}
        servers = rows[0][1:]
        dates = dict(zip(servers, rows[1][1:], strict=True))
        outcomes = {
            (row[0], server): value for row in rows[3:] for server, value in zip(servers, row[1:], strict=True) if value
        }
        found = [match for line in lines if (match := _REASON.fullmatch(line))]
        return dates, outcomes, {(match["test"], match["server"]): match["why"] for match in found}


def _first_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    said = crash.message if crash is not None else str(report.longrepr)
    line = next((line.strip() for line in said.splitlines() if line.strip()), "no reason was given")
    for pattern, name in _OTHERWISE_EACH_TIME.items():
        line = re.sub(pattern, name, line)
    return line.replace("|", "\\|")[:300]


def _by_server(told: tuple[tuple[str, str], str]) -> tuple[int, str]:
    (test, server), _ = told
    return [kind.name for kind in KINDS.values()].index(server), test
