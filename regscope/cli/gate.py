"""A gate for CI: the rules of `dive --ci`, with its defaults and comparisons (wagoodman/dive, ci/rules.go)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import click

from regscope import text
from regscope.cli.sizes import size_in_bytes
from regscope.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

_NO_LIMIT = ("", "disabled", "off", "false")
PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"


class Limits(NamedTuple):
    """The limits of the three rules; None where a rule is disabled."""

    lowest_efficiency: float | None
    highest_wasted_bytes: int | None
    highest_user_wasted_percent: float | None


class _Rule(NamedTuple):
    name: str
    column: str


_LOWEST = _Rule("lowestEfficiency", "efficiency")
_BYTES = _Rule("highestWastedBytes", "wasted_bytes")
_RULES = (_LOWEST, _BYTES, _Rule("highestUserWastedPercent", "user_wasted_percent"))


def ratio_limit(context: click.Context, option: click.Parameter, value: str) -> float | None:
    """A limit from 0 to 1; None for `disabled`."""
    if value.strip().lower() in _NO_LIMIT:
        return None
    try:
        ratio = float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number from 0 to 1 nor 'disabled'") from None
    if not 0 <= ratio <= 1:
        raise click.BadParameter(f"{value} is not in the range from 0 to 1")
    return ratio


def size_limit(context: click.Context, option: click.Parameter, value: str) -> int | None:
    """A limit in bytes; None for `disabled`."""
    if value.strip().lower() in _NO_LIMIT:
        return None
    try:
        return size_in_bytes(value)
    except InvalidInput as error:
        raise click.BadParameter(f"{error.message}. {error.next_step}") from None


class Verdict(NamedTuple):
    """The result of one rule for one image."""

    name: str | None
    digest: str
    rule: str
    result: str
    value: float
    limit: float | None

    @property
    def in_words(self) -> str:
        """The result, the measured value, and the limit."""
        value, limit = (_written(self.rule, number) for number in (self.value, self.limit))
        allowed = "no limit" if limit is None else f"{'at least' if self.rule == _LOWEST.name else 'at most'} {limit}"
        return f"{self.result}  {self.rule:<24}  {value}, {allowed}"


def verdicts(figures: pd.DataFrame, limits: Limits) -> list[Verdict]:
    """The result of each rule for each image of `dive_efficiency`."""
    import pandas as pd

    return [
        Verdict(
            None if pd.isna(image["name"]) else image["name"],
            image["digest"],
            rule.name,
            _result(rule, image[rule.column], limit),
            image[rule.column],
            limit,
        )
        for image in figures.to_dict("records")
        for rule, limit in zip(_RULES, limits, strict=True)
    ]


def _result(rule: _Rule, value: float, limit: float | None) -> str:
    if limit is None:
        return SKIP
    # NaN fails no rule, as in dive: it is the share of empty layers.
    fails = limit > value if rule is _LOWEST else value > limit
    return FAIL if fails else PASS


def in_words(found: Sequence[Verdict]) -> str:
    """A line for each image and for each of its rules, and the overall result."""
    lines = []
    named = Counter(name for name, _ in {(verdict.name, verdict.digest) for verdict in found})
    for digest, of_image in groupby(found, key=lambda verdict: verdict.digest):
        rules = list(of_image)
        name = rules[0].name or digest
        title = name if named[rules[0].name] == 1 or name == digest else f"{name} ({text.short_digest(digest)})"
        lines += [text.plain(title, 200), *(f"  {verdict.in_words}" for verdict in rules)]
    counted = Counter(verdict.result for verdict in found)
    tally = " ".join(f"{result.lower()}:{counted[result]}" for result in (PASS, FAIL, SKIP) if counted[result])
    return "\n".join([*lines, f"Result: {FAIL if counted[FAIL] else PASS} [{tally}]"])


def _written(rule: str, number: float | None) -> str | None:
    if number is None:
        return None
    return f"{number:,} bytes" if rule == _BYTES.name else f"{number:.6g}"
