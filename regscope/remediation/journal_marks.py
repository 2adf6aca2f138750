"""Which steps a journal may have: those of its own plan, each noted in it as a mark before the first of them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable

from regscope.remediation.planned_step import StepKey

_BYTES = 12
_LETTERS = _BYTES * 4 // 3


def step_mark(plan: str, key: StepKey, tags: Iterable[str], digest: str) -> str:
    """What tells a step of the plan with this identity from any other: 16 letters, of base64."""
    said = json.dumps([plan, key.repository, key.action, sorted(tags), digest])
    return base64.b64encode(hashlib.sha256(said.encode()).digest()[:_BYTES]).decode()


def marks_in(text: str) -> frozenset[str]:
    """The marks that stand one behind the other in a text.

    Raises:
        ValueError: a part of one is left.
    """
    if len(text) % _LETTERS:
        raise ValueError("the marks of the plan's steps are cut off")
    return frozenset(text[at : at + _LETTERS] for at in range(0, len(text), _LETTERS))
