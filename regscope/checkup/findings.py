"""One question after another: what was asked, what the registry did, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from regscope import text
from regscope.errors import NotOffered, RegscopeError
from regscope.masking import without_secrets

WORKS, FAILS, LACKS, LEFT_OUT = "works", "fails", "not offered", "not asked"
OUTCOMES = (WORKS, FAILS, LACKS, LEFT_OUT)
_LONGEST = 500  # characters of an answer


class Finding(NamedTuple):
    """The answer to one question.

    Attributes:
        question: what was asked.
        outcome: one of `OUTCOMES`.
        answer: what the registry answered, or the error; without secrets.
        next_step: what to do about an error; empty without one.
        seconds: that it took.
    """

    question: str
    outcome: str
    answer: str = ""
    next_step: str = ""
    seconds: float = 0.0


@dataclass
class Findings:
    """The questions so far, and their answers."""

    rows: list[Finding] = field(default_factory=list)

    def ask(self, question: str, answer: Callable[[], str]) -> bool:
        """Ask a question and keep its answer; whether it works."""
        began = time.monotonic()
        with self._kept(question, began):
            said = text.plain(without_secrets(answer()), _LONGEST)
            self.rows.append(Finding(question, WORKS, said, seconds=time.monotonic() - began))
            return True
        return False

    @contextmanager
    def _kept(self, question: str, began: float) -> Iterator[None]:
        try:
            yield
        except RegscopeError as error:
            outcome = LACKS if isinstance(error, NotOffered) else FAILS
            said, step = (text.plain(without_secrets(part), _LONGEST) for part in (error.message, error.next_step))
            self.rows.append(Finding(question, outcome, said, step, time.monotonic() - began))

    def leave_out(self, question: str, why: str) -> None:
        """Note a question that was not asked, and why."""
        self.rows.append(Finding(question, LEFT_OUT, why))

    def table(self) -> pd.DataFrame:
        """A row for each question; see `Checkup.table`."""
        found = pd.DataFrame(self.rows, columns=list(Finding._fields))
        found["outcome"] = pd.Categorical(found["outcome"], categories=list(OUTCOMES))
        texts = dict.fromkeys(("question", "answer", "next_step"), "str")
        return found.astype({**texts, "seconds": "float64"})
