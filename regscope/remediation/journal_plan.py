"""Which steps a journal may have: those of its own plan, noted in it before the first of them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regscope.remediation.plan import Plan

_BYTES = 12
_LETTERS = _BYTES * 4 // 3


def step_mark(plan: str, repository: str, action: str, tags: Iterable[str], digest: str) -> str:
    """What tells a step of the plan with this identity from any other: 16 letters, of base64."""
    said = json.dumps([plan, repository, action, sorted(tags), digest])
    return base64.b64encode(hashlib.sha256(said.encode()).digest()[:_BYTES]).decode()


def marks_of(plan: Plan) -> list[str]:
    """The marks of a plan's steps; a manifest is deleted with those of its tags that go."""
    identity, steps, going = plan.identity, plan.steps, plan.tags_by_manifest
    rows = zip(steps["repository"], steps["action"], steps["tag"], steps["digest"], strict=True)
    return [
        step_mark(
            identity,
            repository,
            action,
            [tag] if action == "untag" else going.get((repository, digest), []),
            digest,
        )
        for repository, action, tag, digest in rows
    ]


def marks_in(text: str) -> frozenset[str]:
    """The marks that stand one behind the other in a text.

    Raises:
        ValueError: a part of one is left.
    """
    if len(text) % _LETTERS:
        raise ValueError("the marks of the plan's steps are cut off")
    return frozenset(text[at : at + _LETTERS] for at in range(0, len(text), _LETTERS))
