"""Marks of a plan's steps: a journal lists them before the first step, and may have no other steps."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from regscope.remediation.planned_step import StepKey
from regscope.spec.json_forms import one_line

_BYTES = 12
_LETTERS = _BYTES * 4 // 3


def step_mark(plan: str, key: StepKey, tags: Iterable[str], digest: str) -> str:
    """The mark of one step of the plan with this identity: 96 bits of a SHA-256, as 16 letters of base64."""
    said = one_line([plan, key.repository, key.action, sorted(tags), digest])
    return base64.b64encode(hashlib.sha256(said.encode()).digest()[:_BYTES]).decode()


def marks_in(text: str) -> frozenset[str]:
    """The marks in a text, in which they follow one another without a separator.

    Raises:
        ValueError: the last mark is cut off.
    """
    if len(text) % _LETTERS:
        raise ValueError("the marks of the plan's steps are cut off")
    return frozenset(text[at : at + _LETTERS] for at in range(0, len(text), _LETTERS))
